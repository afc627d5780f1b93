"""What a teacher adds to a network of the embedded rows, on CamVid: FPNLite over MobileNetV2 with and without one.

    python benchmarks/distillation.py --data CamVid [--teacher-steps 5000] [--steps 3000] [--seeds 0 1 2]

The teacher is `camvid-cpu-1h-pretrained`. Every student has the same recipe, number of steps and seeds and begins with
random weights; they differ in `distillation` alone. Each is scored on the test images, and so is its int8 artefact.
Nothing is chosen on test: lengths and weights are those of this file and of the command. Runs go to --work; stopped
ones are continued, finished ones are not repeated. Writes measurements/distillation.json and distillation.md.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from measuring import HERE, write_result
from scipy import stats
from training_runs import SEQUENCES, Job, result_of, run_jobs

from pixelwise import evaluate, quantize
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.evaluations import evaluation_folder
from pixelwise.records.result import RESULT, Result, load_result
from pixelwise.storage import write_text
from pixelwise.storage.names import counted
from pixelwise.training.distillation.identity import with_teachers

RECIPE = "camvid-cpu-1h-pretrained"
SPLIT, PROTOCOL = "test", "camvid-480x360"
STUDENT = (
    'model={family="fpnlite",encoder="mobilenetv2_100"}', "initialize.encoder=none", "optimizer.groups=[]",
    "optimizer.lr=1e-3", "augment.mix=none",
)  # fmt: skip
VIEWS = 8
WAYS: dict[str, tuple[str, ...]] = {
    "none": (),
    "channels": ("match=channels", "weight=3"),
    "logits": ("match=logits",),
}
"""Name of an arm -> its fields of `distillation`. 3 is the weight of channel-wise distillation in its paper."""
WORDS = {"none": "no teacher", "channels": "channel-wise (CWD)", "logits": "logits"}


class Score(NamedTuple):
    """A student's scores on the test images.

    Attributes:
        miou: Mean IoU, 0..1.
        int8: The same of its int8 artefact.
    """

    miou: float
    int8: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is missing and write the table; returns 1 if a run did not finish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of CamVid")
    parser.add_argument("--teacher-steps", type=int, default=5000)
    parser.add_argument("--steps", type=int, default=3000, help="steps of every student")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--jobs", type=int, default=2, help="runs at once, which share the processor")
    parser.add_argument("--work", type=Path, default=Path("runs/distillation"), help="folder of the runs")
    options = parser.parse_args(arguments)
    teacher = Job(
        name="teacher",
        recipe=RECIPE,
        overrides=(f"schedule.iterations={options.teacher_steps}",),
        scores=((SPLIT, PROTOCOL),),
        at_once=options.jobs,
    )
    unfinished = run_jobs([teacher], options.data, options.work)
    if unfinished:
        print("teacher: not finished")
        return 1
    jobs = {
        (way, seed): student(way, seed, options.steps, options.work / teacher.name, options.jobs)
        for way in options.ways
        for seed in options.seeds
    }
    unfinished = run_jobs(list(jobs.values()), options.data, options.work)
    for name in unfinished:
        print(f"{name}: not finished")
    if unfinished:
        return 1
    scores = {key: scored(job, options) for key, job in jobs.items()}
    taught_by = result_of(teacher, options.work, SPLIT, PROTOCOL)
    named = {way: [scores[way, seed]._asdict() for seed in options.seeds] for way in options.ways}
    command = (
        f"python benchmarks/distillation.py --data CamVid --teacher-steps {options.teacher_steps} "
        f"--steps {options.steps} --seeds {' '.join(map(str, options.seeds))} "
        f"--ways {' '.join(options.ways)} --jobs {options.jobs}"
    )
    write_result("distillation", {"command": command, "teacher": taught_by.miou, "seeds": options.seeds, "ways": named})
    text = page(command, taught_by, scores, options)
    write_text(HERE / "distillation.md", text)
    print(text)
    return 0


def student(way: str, seed: int, steps: int, teacher: Path, at_once: int) -> Job:
    """The run of an arm with a seed."""
    overrides = (*STUDENT, f"schedule.iterations={steps}", f"sampling.seed={seed}")
    if way != "none":
        fields = (f"teacher={teacher.absolute()}", f"cache_views={VIEWS}", *WAYS[way])
        overrides = (*overrides, *(f"distillation.{field}" for field in fields))
        taught = with_teachers(apply_overrides(recipe(RECIPE), overrides)).distillation
        overrides = (*overrides, f"distillation.teacher_sha256={msgspec.json.encode(taught.teacher_sha256).decode()}")
    return Job(
        name=f"{way}-seed{seed}", recipe=RECIPE, overrides=overrides, scores=((SPLIT, PROTOCOL),), at_once=at_once
    )


def scored(job: Job, options: argparse.Namespace) -> Score:
    """The scores of a finished student, which is quantized first unless it has been."""
    result = result_of(job, options.work, SPLIT, PROTOCOL)
    artefact = options.work / f"{job.name}-int8"
    if not artefact.is_dir():
        quantize(options.work / job.name, artefact, least_equal=0.0, split="val", size=(360, 480))
    kept = evaluation_folder(artefact, SPLIT, PROTOCOL)
    if not (kept / RESULT).is_file():
        evaluate(artefact, split=SPLIT, protocol=PROTOCOL, data=options.data, group=SEQUENCES)
    return Score(miou=result.miou, int8=load_result(kept).miou)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half of the 95 % interval (Student's t) of a few independent values; infinite for one."""
    if len(values) < 2:
        return statistics.mean(values), math.inf
    half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values), half


def page(command: str, teacher: Result, scores: Mapping[tuple[str, int], Score], options: argparse.Namespace) -> str:
    """The table as Markdown."""
    machine = teacher.machine
    lines = [
        "# A teacher for a small network",
        "",
        f"`{command}`: mean IoU (%) of {len(teacher.per_class)} classes on the {teacher.images} test images of CamVid "
        f"at 480x360, one view, last averaged weights. The teacher is `{RECIPE}` after {options.teacher_steps} steps, "
        f"{100 * teacher.miou:.2f}; the students are FPNLite over MobileNetV2 from random weights, {options.steps} "
        f"steps of 8 crops of 320x240 without ClassMix, which cached outputs exclude. The teacher sees {VIEWS} "
        f"views of each image, once. Intervals are 95 %, by "
        f"Student's t over {len(options.seeds)} seeds; gains are differences between runs of the same seed. int8: "
        f"after training, calibrated on training images, ONNX Runtime. Machine: {machine.cpu}, "
        f"{counted(machine.cores, 'core')}, {options.jobs} {'runs' if options.jobs > 1 else 'run'} at once.",
        "",
        f"| teacher | {' | '.join(f'seed {seed}' for seed in options.seeds)} | mean | gain | int8 | lost by int8 |",
        f"|---|{'---|' * (len(options.seeds) + 4)}",
    ]
    gains = []
    for way in options.ways:
        of_way = [scores[way, seed] for seed in options.seeds]
        gain = "-"
        if way != "none" and "none" in options.ways:
            mean, half = interval(
                [100 * (scores[way, seed].miou - scores["none", seed].miou) for seed in options.seeds]
            )
            gain = f"{mean:+.2f} ± {half:.2f}"
            gains.append((mean, half))
        lost, spread = interval([100 * (one.miou - one.int8) for one in of_way])
        cells = [
            WORDS[way],
            *(f"{100 * one.miou:.2f}" for one in of_way),
            f"{100 * statistics.mean(one.miou for one in of_way):.2f}",
            gain,
            f"{100 * statistics.mean(one.int8 for one in of_way):.2f}",
            f"{lost:.2f} ± {spread:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    if any(gain <= half for gain, half in gains):
        lines += ["", "A gain whose interval includes 0 is not separated from zero by so few seeds."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
