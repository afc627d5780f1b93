"""Ablation of the recipes `camvid-scratch-*`, without using the test split.

    python benchmarks/camvid_ablation.py --data CamVid [--recipe NAME] [--iterations 6000] [--seeds 0 1] [--jobs 3]

Parts are added one by one; every variant has the same length, seeds and network. Training uses one part of the train
split, and scores come from the rest: a held-out drive, or with --division block the ends of all drives (see
`pixelwise.datasets.formats.published.camvid`). Val is scored too, but it is 6.7 seconds of one drive and decides
nothing. Writes results to --work and, once all variants are finished, the table to camvid_ablation.json and
camvid_ablation.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from training_runs import Job, loading_workers, result_of, run_jobs

from pixelwise.machine.facts import machine_facts, version_facts
from pixelwise.recipes.own.camvid_scratch import RECIPES, WARMUP_SHARE
from pixelwise.reports.numbers import percent
from pixelwise.storage import write_bytes, write_text

HERE = Path(__file__).resolve().parent
PROTOCOL = "camvid-480x360"
PARTS = {
    "scale, proportions and colours": (
        "augment.scale=[1.0,1.0]", "augment.aspect=0", "augment.brightness=0", "augment.contrast=0",
        "augment.saturation=0", "augment.channel_gain=0",
    ),
    "crops on rare classes, class weights, Lovász": (
        "augment.class_crop=0", "loss.class_weights=none", "loss.lovasz=0",
    ),
    "moving average of the weights": ("ema=none",),
    "ClassMix: the recipe": ("augment.mix=none",),
}  # fmt: skip
"""Parts in the order in which they are added -> the overrides that leave a part out."""


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A variant of the recipe and its scores.

    Attributes:
        letter: Letter of the variant: A, B, ...
        words: Description of what it adds to the variant before.
        overrides: Changes to the recipe.
        development: mIoU of each seed on the held-out part of train, 0..1.
        val: mIoU of each seed on val, 0..1.
        seconds: Training time of each seed.
    """

    letter: str
    words: str
    overrides: tuple[str, ...]
    development: tuple[float, ...] = ()
    val: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the unfinished variants, then write the table; returns 1 if a run did not finish."""
    names = [entry.name for entry in RECIPES if entry.data.train_split == "train"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of CamVid")
    parser.add_argument("--recipe", choices=names, default="camvid-scratch-swiftnet-r18", metavar="NAME")
    parser.add_argument("--division", choices=("drive", "block"), default="drive", help="what to hold out of train")
    parser.add_argument("--iterations", type=int, default=6000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument(
        "--jobs", type=int, default=1, help="number of concurrent runs, which share the GPU; default: 1"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--work", type=Path, default=Path("runs/camvid-ablation"), help="folder of the runs")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for the table")
    parser.add_argument("--limit-seconds", type=float, help="stop after this time; the same command continues")
    parser.add_argument("--set", nargs="+", default=[], metavar="FIELD=VALUE", help="further changes to all variants")
    options = parser.parse_args(arguments)
    found, jobs = [], []
    for variant in variants():
        own = [make_job(variant, seed, options) for seed in options.seeds]
        found.append((variant, own))
        jobs += own
    unfinished = run_jobs(jobs, options.data, options.work, limit_seconds=options.limit_seconds)
    if unfinished:
        print(f"not finished, no table: {', '.join(unfinished)}")
        return 1
    write([scored(variant, own, options) for variant, own in found], options)
    return 0


def variants() -> list[Variant]:
    """The variants, from no parts at all to the complete recipe."""
    parts = list(PARTS.items())
    words = ["flips and cross entropy", *(name for name, _ in parts)]
    return [
        Variant(
            letter="ABCDEFGH"[kept],
            words=words[kept] if kept == 0 else f"+ {words[kept]}",
            overrides=tuple(change for _, changes in parts[kept:] for change in changes),
        )
        for kept in range(len(words))
    ]


def make_job(variant: Variant, seed: int, options: argparse.Namespace) -> Job:
    """The run of a variant with a seed, trained on one part of train and scored on the other and on val."""
    held_out = f"{options.division}-dev"
    return Job(
        name=f"{options.recipe}-{options.division}-{options.iterations}-{variant.letter}-seed{seed}",
        recipe=options.recipe,
        overrides=(
            *variant.overrides,
            f"data.train_split={options.division}-train",
            f"evaluation.split={held_out}",
            f"schedule.iterations={options.iterations}",
            f"schedule.warmup_iterations={round(WARMUP_SHARE * options.iterations)}",
            f"sampling.seed={seed}",
            *options.set,
        ),
        scores=((held_out, PROTOCOL), ("val", PROTOCOL)),
        device=options.device,
        workers=loading_workers(options.device, options.jobs),
        at_once=options.jobs,
    )


def scored(variant: Variant, jobs: Sequence[Job], options: argparse.Namespace) -> Variant:
    """The variant with the scores and times of its runs."""
    development, val = (
        [result_of(job, options.work, split, PROTOCOL) for job in jobs] for split, _ in (jobs[0].scores)
    )
    return msgspec.structs.replace(
        variant,
        development=tuple(result.miou for result in development),
        val=tuple(result.miou for result in val),
        seconds=tuple(result.training.seconds for result in val if result.training is not None),
    )


def write(found: Sequence[Variant], options: argparse.Namespace) -> None:
    """Write the table and the data behind it."""
    machine = machine_facts()
    facts = {
        "recipe": options.recipe,
        "division": options.division,
        "iterations": options.iterations,
        "changes": options.set,
        "seeds": options.seeds,
        "runs_at_once": options.jobs,
        "machine": msgspec.to_builtins(machine),
        "versions": version_facts(),
        "variants": msgspec.to_builtins(found),
    }
    content = msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n"
    write_bytes(options.output / "camvid_ablation.json", content)
    lines = [
        "# Ablation of the CamVid recipes",
        "",
        f"`python benchmarks/camvid_ablation.py`: `{options.recipe}`, {options.iterations} iterations, trained on "
        f"{options.division}-train, mIoU (%) on {options.division}-dev and val at 480x360, mean and single values of "
        f"seeds {', '.join(map(str, options.seeds))}. Test is never used. {machine.cpu}, {machine.gpu or 'no GPU'}, "
        f"{options.jobs} concurrent runs{'; with ' + ' '.join(options.set) if options.set else ''}.",
        "",
        f"| variant | adds | {options.division}-dev | gain | val | training (min) |",
        "|---|---|---|---|---|---|",
    ]
    before = None
    for variant in found:
        mean = statistics.fmean(variant.development)
        gain = "" if before is None else f"{100 * (mean - before):+.2f}"
        minutes = ", ".join(f"{seconds / 60:.1f}" for seconds in variant.seconds)
        cells = [variant.letter, variant.words, _scores(variant.development), gain, _scores(variant.val), minutes]
        lines.append(f"| {' | '.join(cells)} |")
        before = mean
    write_text(options.output / "camvid_ablation.md", "\n".join(lines) + "\n")


def _scores(scores: Sequence[float]) -> str:
    return f"{percent(statistics.fmean(scores))} ({', '.join(percent(score) for score in scores)})"


if __name__ == "__main__":
    sys.exit(main())
