"""Trains the recipes `camvid-scratch-*`, scores them on test with and without test-time augmentation, makes tables.

    python benchmarks/camvid_scratch.py --data CamVid [--recipes NAME ...] [--seeds 0 1] [--jobs 2] [--train-and-val]

Runs go to --work; stopped runs are continued, finished ones are not repeated. Only a run that has done all steps of
its unchanged recipe becomes a record: its results in results/, an entry in camvid_scratch.json and a row in the tables
of camvid_scratch.md. On one GPU a recipe takes from a quarter of an hour to more than an hour; small networks leave
most of the GPU idle, so several can run at once (--jobs).
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from training_runs import Job, is_finished, loading_workers, result_of, run_jobs, side_by_side

from pixelwise.checkpoints.checkpoint import save_checkpoint
from pixelwise.checkpoints.trained import load_trained
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.own.camvid_scratch import RECIPES
from pixelwise.records.evaluations import evaluation_folder
from pixelwise.records.result import RESULT, Result, load_result
from pixelwise.records.run_folder import CHECKPOINTS, RECIPE
from pixelwise.reports.numbers import memory, percent, speed
from pixelwise.storage import write_bytes, write_text

HERE = Path(__file__).resolve().parent
SINGLE, VIEWS = "camvid-480x360", "camvid-480x360-tta"
SCORES = (("test", SINGLE), ("test", VIEWS))
LARGEST_WEIGHTS = 3_000_000
"""Largest weights, in bytes, that are kept in the repository."""
MARKS = (
    ("ENet as published (PyTorch-ENet)", 53.12, "train"),
    ("a good result without pretraining", 60.0, "train"),
    ("FC-DenseNet103 (arXiv:1611.09326)", 66.9, "train"),
    ("LETNet (its README)", 70.5, "train and val"),
)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A finished run.

    Attributes:
        recipe: Name of the recipe, which is unchanged except for the seed.
        seed: Seed of the run.
        recipe_hash: Hash of the recipe with this seed.
        train_split: Split used for training.
        parameters: Number of parameters of the network.
        images_per_second: Training speed over the whole run.
        runs_at_once: Largest number of runs that shared the machine, which slows each of them down.
        results: Protocol -> file in results/.
    """

    recipe: str
    seed: int
    recipe_hash: str
    train_split: str
    parameters: int
    images_per_second: float
    runs_at_once: int
    results: dict[str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the unfinished runs, then write the tables; returns 1 if a run did not finish."""
    names = [entry.name for entry in RECIPES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of CamVid")
    parser.add_argument(
        "--recipes", nargs="+", choices=names, metavar="NAME", help="default: the recipes trained on train"
    )
    parser.add_argument("--train-and-val", action="store_true", help="use the recipes trained on train and val instead")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument(
        "--jobs", type=int, default=1, help="number of concurrent runs, which share the GPU; default: 1"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--work", type=Path, default=Path("runs/camvid-scratch"), help="folder of the runs")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for results/ and the tables")
    parser.add_argument("--limit-seconds", type=float, help="stop after this time; the same command continues")
    parser.add_argument("--keep-weights", action="store_true", help="keep small weights of each recipe's first seed")
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="FIELD=VALUE",
        help="change the recipes to try the script; writes no records",
    )
    options = parser.parse_args(arguments)
    if options.set and options.output.resolve() == HERE:
        parser.error("--set changes the recipes, so the runs are not records: give --output another folder")
    wanted = options.recipes or [name for name in names if name.endswith("-trainval") == options.train_and_val]
    jobs = [
        make_job(name, seed, options.set, device=options.device, at_once=options.jobs)
        for seed in options.seeds
        for name in wanted
    ]
    unfinished = run_jobs(jobs, options.data, options.work, limit_seconds=options.limit_seconds)
    finished = [job for job in jobs if is_finished(job, options.work)]
    if finished:
        write(collect(finished, options.work, options.output, options.set), options.output)
    if options.keep_weights:
        for job in finished:
            if job.name.endswith(f"-seed{min(options.seeds)}"):
                keep_weights(options.work / job.name, options.output / "weights" / job.recipe)
    for name in unfinished:
        print(f"{name}: not finished")
    return 1 if unfinished else 0


def make_job(name: str, seed: int, changes: Sequence[str], *, device: str, at_once: int) -> Job:
    """The run of a recipe with a seed."""
    return Job(
        name=f"{name}-seed{seed}",
        recipe=name,
        overrides=(*changes, *((f"sampling.seed={seed}",) if seed else ())),
        scores=SCORES,
        device=device,
        workers=loading_workers(device, at_once),
        at_once=at_once,
    )


def collect(jobs: Sequence[Job], work: Path, output: Path, changes: Sequence[str]) -> list[Record]:
    """The records of finished jobs, and those already in `output` whose recipes have not changed."""
    records = {(record.recipe, record.seed): record for record in stored(output) if is_current(record, changes)}
    for job in jobs:
        files = {}
        for split, protocol in job.scores:
            result_of(job, work, split, protocol)  # refuses a score of different weights
            files[protocol] = f"{job.name}{'-tta' if protocol == VIEWS else ''}.json"
            source = evaluation_folder(work / job.name, split, protocol) / RESULT
            write_bytes(output / "results" / files[protocol], source.read_bytes())
        recipe, result = job.resolved(), result_of(job, work, *job.scores[0])
        assert result.training is not None  # noqa: S101 (a run that was trained here has a cost)
        seen = result.training.steps * recipe.sampling.batch_size * recipe.sampling.accumulate
        records[job.recipe, recipe.sampling.seed] = Record(
            recipe=job.recipe,
            seed=recipe.sampling.seed,
            recipe_hash=recipe.hash(),
            train_split=recipe.data.train_split,
            parameters=sum(p.numel() for p in load_trained(work / job.name).model.parameters()),
            images_per_second=seen / result.training.seconds,
            runs_at_once=side_by_side(work / job.name),
            results=files,
        )
    order = [entry.name for entry in RECIPES]
    return sorted(records.values(), key=lambda record: (order.index(record.recipe), record.seed))


def stored(output: Path) -> list[Record]:
    """The records already in `output`."""
    path = output / "camvid_scratch.json"
    return msgspec.json.decode(path.read_bytes(), type=list[Record]) if path.is_file() else []


def is_current(record: Record, changes: Sequence[str]) -> bool:
    """Whether the recipe of a record is unchanged; prints a note if it is not."""
    recipe = apply_overrides(find_recipe(record.recipe), [*changes, f"sampling.seed={record.seed}"])
    same = recipe.hash() == record.recipe_hash
    if not same:
        print(f"{record.recipe}, seed {record.seed}: the recipe has changed, so the record is dropped")
    return same


def write(records: Sequence[Record], output: Path) -> None:
    """Write the records and the page."""
    write_bytes(output / "camvid_scratch.json", msgspec.json.format(msgspec.json.encode(records), indent=1) + b"\n")
    results = {
        (record.recipe, record.seed, protocol): load_result(output / "results" / file)
        for record in records
        for protocol, file in record.results.items()
    }
    write_text(output / "camvid_scratch.md", page(records, results))


def page(records: Sequence[Record], results: dict[tuple[str, int, str], Result]) -> str:
    """The page with separate tables for training on train and on train and val, which are not comparable."""
    any_result = next(iter(results.values()))
    machines = sorted({f"{r.machine.cpu}, {r.machine.gpu or 'no GPU'}" for r in results.values()})
    lines = [
        "# CamVid from scratch at 480x360",
        "",
        f"`python benchmarks/camvid_scratch.py`: mean IoU (%) of {len(any_result.per_class)} classes on the "
        f"{any_result.images} test images, one confusion matrix, last averaged weights, nothing selected on test. "
        "Views (TTA): 0.75, 1, 1.25 and 1.5 times the size, each also mirrored. Machine: "
        f"{'; '.join(machines)}; PyTorch {any_result.versions['torch']}.",
        "",
        "| for comparison | mIoU | trained on |",
        "|---|---|---|",
        *(f"| {name} | {mark:g} | {split} |" for name, mark, split in MARKS),
    ]
    for split, words in (("train", "Trained on train"), ("train+val", "Trained on train and val")):
        chosen = [record for record in records if record.train_split == split]
        if chosen:
            lines += ["", f"## {words}", *_tables(chosen, results)]
    return "\n".join(lines) + "\n"


def _tables(records: Sequence[Record], results: dict[tuple[str, int, str], Result]) -> list[str]:
    def of(name: str, protocol: str) -> list[Result]:
        return [results[record.recipe, record.seed, protocol] for record in records if record.recipe == name]

    names = list(dict.fromkeys(record.recipe for record in records))
    lines = [
        "", "| recipe | parameters (M) | seeds | single scale | with views | training (min) | images/s | peak memory | "
        "concurrent runs | scoring images/s | with views |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name in names:
        own = [record for record in records if record.recipe == name]
        single, views = of(name, SINGLE), of(name, VIEWS)
        costs = [result.training for result in single if result.training is not None]
        cells = [
            name,
            f"{own[0].parameters / 1e6:.2f}",
            ", ".join(str(record.seed) for record in own),
            _mean_and_all([result.miou for result in single]),
            _mean_and_all([result.miou for result in views]),
            ", ".join(f"{cost.seconds / 60:.1f}" for cost in costs),
            ", ".join(speed(record.images_per_second) for record in own),
            ", ".join(memory(cost.peak_memory_bytes) for cost in costs),
            ", ".join(str(record.runs_at_once) for record in own),
            ", ".join(speed(result.images_per_second) for result in single),
            ", ".join(speed(result.images_per_second) for result in views),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    classes = [entry.name for entry in of(names[0], SINGLE)[0].per_class]
    drives = [f"{group.name} ({group.images})" for group in of(names[0], SINGLE)[0].groups]
    lines += _by("IoU per class, mean of the seeds", classes, names, of, lambda r: [c.iou for c in r.per_class])
    lines += _by("mIoU per test sequence (images), mean of the seeds", drives, names, of, _of_drives)
    return lines


def _of_drives(result: Result) -> list[float]:
    return [group.miou for group in result.groups]


def _by(
    title: str,
    columns: Sequence[str],
    names: Sequence[str],
    of: Callable[[str, str], list[Result]],
    values: Callable[[Result], list[float]],
) -> list[str]:
    lines = ["", f"{title}:", "", f"| recipe | scored | {' | '.join(columns)} |", "|---|---|" + "---|" * len(columns)]
    for name in names:
        for protocol, words in ((SINGLE, "single scale"), (VIEWS, "with views")):
            means = [statistics.fmean(found) for found in zip(*map(values, of(name, protocol)), strict=True)]
            lines.append(f"| {name} | {words} | {' | '.join(percent(mean, 1) for mean in means)} |")
    return lines


def _mean_and_all(scores: Sequence[float]) -> str:
    if len(scores) == 1:
        return percent(scores[0])
    return f"{percent(math.fsum(scores) / len(scores))} ({', '.join(percent(score) for score in scores)})"


def keep_weights(run: Path, folder: Path) -> None:
    """Write small weights as a folder that `evaluate` and `predict` accept like a run."""
    trained = load_trained(run)
    tensors = trained.model.state_dict()
    size = sum(tensor.nbytes for tensor in tensors.values())
    if size > LARGEST_WEIGHTS:
        print(
            f"{trained.recipe.name}: {size / 1e6:.1f} MB of weights not kept; the limit is {LARGEST_WEIGHTS / 1e6:g} MB"
        )
        return
    shutil.rmtree(folder, ignore_errors=True)
    save_checkpoint(
        folder / CHECKPOINTS,
        step=trained.checkpoint.step,
        tensors={"model": tensors},
        state={"kept": {"weights": trained.weights, "sha256_in_the_run": trained.weights_sha256}},
        miou=None,
        metadata={"recipe": trained.recipe.name, "classes": list(trained.model.classes)},
    )
    write_bytes(folder / RECIPE, (run / RECIPE).read_bytes())


if __name__ == "__main__":
    sys.exit(main())
