"""How time and memory of `check`, `train`, `evaluate` and `predict` grow with the number of pairs.

    python benchmarks/scale.py [--sizes 2000,10000,40000] [--most-predicted 10000] [--fresh]

Draws pairs of 64x64 pixels and four classes, which are as cheap to decode as files can be, so that what is measured is
what Pixelwise does beside decoding. Every verb runs in a process of its own with a cache of its own: `check` first
without and then with what the cache knows, `train` to its second step, `evaluate` and `predict`. From processor time
and peak memory, those of the same verb with 16 pairs are subtracted. The exponent of a size is that between it and the
size before: 1 is growth in proportion. Training keeps no decoded pairs (`data.cache=off`), so that its second step
does not wait for them. Writes measurements/scale.json, scale.md and plots/scale.svg after each size; what is there
already is not measured again, so that the measurement can be made in parts.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from draw_pictures import record_file
from measuring import HERE, write_result
from PIL import Image

import pixelwise
from pixelwise.machine.facts import machine_facts

FEW = 16
MEASURED = HERE / "measurements" / "scale.json"
CLASSES = ("a", "b", "c", "d")
RECIPE = """
name = "miniature"
[model]
family = "enet"
[augment]
crop = [64, 64]
[optimizer]
lr = 0.001
[schedule]
iterations = 2
[sampling]
batch_size = 2
[selection]
split = "val"
[evaluation]
split = "val"
"""
STARTER = """
import os, sys
begun = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, used = os.wait4(begun, 0)
print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
"""A process that starts another one. The peak memory of a new process begins with that of the process that starts it,
which here is a small one."""
VERBS = {
    "check": "`check`, nothing cached",
    "check again": "`check` again",
    "train": "`train` to its second step",
    "train on shards": "the same on shards",
    "evaluate": "`evaluate`",
    "predict": "`predict`",
}
SLOW = ("evaluate", "predict")
"""Verbs that a network takes part in."""


class Cost(NamedTuple):
    """What a process took: seconds of all processors, of the clock, and peak memory in bytes."""

    cpu_seconds: float
    wall_seconds: float
    peak: int


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="2000,10000,40000", help="numbers of pairs, ascending")
    parser.add_argument("--most-predicted", type=int, default=10_000, help="largest number for evaluate and predict")
    parser.add_argument("--fresh", action="store_true", help="measure everything again")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    found = {} if options.fresh else measured_before()
    for count in (FEW, *sizes):
        wanted = {verb for verb in VERBS if count <= options.most_predicted or verb not in SLOW}
        if not wanted <= found.get(count, {}).keys():
            with tempfile.TemporaryDirectory() as folder:
                found[count] = measure(Path(folder), count, options.most_predicted)
            write(found)
    print((HERE / "scale.md").read_text("utf-8"))
    return 0


def measured_before() -> dict[int, dict[str, Cost]]:
    """What an earlier call has measured: number of pairs -> verb -> cost."""
    if not MEASURED.is_file():
        return {}
    costs = json.loads(MEASURED.read_text("utf-8"))["costs"]
    return {int(count): {verb: Cost(**one) for verb, one in verbs.items()} for count, verbs in costs.items()}


def write(found: Mapping[int, Mapping[str, Cost]]) -> None:
    """Write what was measured so far, the page and the plot."""
    machine, ordered = machine_facts(), dict(sorted(found.items()))
    result = {
        "command": "python benchmarks/scale.py",
        "machine": {"cpu": machine.cpu, "cores": machine.cores},
        "few": FEW,
        "costs": {
            str(count): {verb: cost._asdict() for verb, cost in costs.items()} for count, costs in ordered.items()
        },
    }
    write_result("scale", result)
    (HERE / "scale.md").write_text(page(result, grown(ordered)), "utf-8")
    draw_plot(grown(ordered))


def measure(folder: Path, count: int, most_predicted: int) -> dict[str, Cost]:
    """Draw so many pairs, and run every verb on them."""
    data, run = folder / "data", folder / "run"
    draw(data, count)
    (folder / "recipe.toml").write_text(RECIPE, "utf-8")
    train = ["train", folder / "recipe.toml", data, "data.cache=off", "--workers", "0", "--no-evaluate"]
    found = {
        "check": cost(["check", data], folder),
        "check again": cost(["check", data], folder),
        "train": cost([*train, "-o", run], folder),
    }
    pixelwise.shard(data, folder / "shards")
    on_shards = [folder / "shards" if word is data else word for word in train]
    cost([*on_shards, "-o", folder / "first"], folder)
    found["train on shards"] = cost([*on_shards, "-o", folder / "second"], folder)
    if count <= most_predicted:
        found["evaluate"] = cost(["evaluate", run, data, "--split", "train"], folder)
        found["predict"] = cost(["predict", run, data / "images", "-o", folder / "out", "--no-overlay"], folder)
    return found


def draw(folder: Path, count: int) -> None:
    """Smooth regions of four classes, and their noisy pictures; a sixteenth of them is for validation."""
    for kind in ("images", "masks"):
        for split in ("train", "val"):
            (folder / kind / split).mkdir(parents=True)
    colors = np.array([[60, 60, 60], [180, 60, 50], [60, 160, 70], [70, 80, 190]])
    for number in range(count):
        random = np.random.default_rng(number)
        fields = cv2.resize(random.normal(size=(4, 4, len(CLASSES))), (64, 64), interpolation=cv2.INTER_CUBIC)
        labels = fields.argmax(2).astype(np.uint8)
        image = np.clip(colors[labels] + random.normal(0, 12, (64, 64, 3)), 0, 255).astype(np.uint8)
        split = "val" if number % 16 == 0 else "train"
        Image.fromarray(image).save(folder / "images" / split / f"{number:07}.png", compress_level=1)
        Image.fromarray(labels).save(folder / "masks" / split / f"{number:07}.png", compress_level=1)
    names = ", ".join(f'"{name}"' for name in CLASSES)
    (folder / "dataset.toml").write_text(f"classes = [{names}]\n", "utf-8")
    # Audits do not remember files that were written a moment ago, since they may change again unnoticed.
    time.sleep(3)


def cost(words: Sequence[str | Path], folder: Path) -> Cost:
    """Run a verb in a process of its own.

    Raises:
        SystemExit: It failed.
    """
    start = time.perf_counter()
    variables = os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pixelwise", *map(str, words)]
    with open(folder / "log", "wb") as log:
        starter = [sys.executable, "-S", "-c", STARTER, *command]
        process = subprocess.run(starter, stdout=subprocess.PIPE, stderr=log, env=variables, text=True, check=True)
    status, seconds, peak = process.stdout.split()[-3:]
    if int(status):
        raise SystemExit(f"{' '.join(command)}\n{(folder / 'log').read_text('utf-8', 'replace')}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(float(seconds), time.perf_counter() - start, int(peak) * unit)


class Growth(NamedTuple):
    """What the pairs of a verb took, beyond what few pairs take.

    Attributes:
        count: Number of pairs.
        cpu_seconds: Seconds of all processors.
        memory: Bytes of peak memory.
        exponent: Of the processor time, from the size before to this one; None for the first size, or if it cannot be
            told because a time is within a second of that of few pairs.
    """

    count: int
    cpu_seconds: float
    memory: int
    exponent: float | None


def grown(found: Mapping[int, Mapping[str, Cost]]) -> dict[str, list[Growth]]:
    """Verb -> its growth at every size."""
    result: dict[str, list[Growth]] = {verb: [] for verb in VERBS}
    for verb, growths in result.items():
        few = found.get(FEW, {}).get(verb)
        for count, costs in found.items():
            if few is None or count == FEW or verb not in costs:
                continue
            seconds, memory = costs[verb].cpu_seconds - few.cpu_seconds, costs[verb].peak - few.peak
            exponent = None
            if growths and min(seconds, growths[-1].cpu_seconds) > 1:
                exponent = math.log(seconds / growths[-1].cpu_seconds) / math.log(count / growths[-1].count)
            growths.append(Growth(count, seconds, memory, exponent))
    return result


def page(result: dict, growths: Mapping[str, Sequence[Growth]]) -> str:
    """The table."""
    machine = result["machine"]
    lines = [
        "# Growth with the number of pairs",
        "",
        f"`{result['command']}` on {machine['cores']} cores ({machine['cpu']}): pairs of 64x64 pixels; processor time "
        f"and peak memory beyond those of the same verb with {FEW} pairs. An exponent of 1 is growth in proportion to "
        "the number of pairs; none is given where less than a second is compared. Memory is that of the pairs beyond "
        "the line above. The machine did other work at the same time, on which memory depends little, processor time "
        "somewhat, and seconds of the clock much.",
        "",
        "| | pairs | processor time | per pair | memory per further pair | exponent of the time |",
        "|---|---|---|---|---|---|",
    ]
    for verb, found in growths.items():
        for place, one in enumerate(found):
            fewer, less = (found[place - 1].count, found[place - 1].memory) if place else (FEW, 0)
            exponent = "" if one.exponent is None else f"{one.exponent:.2f}"
            cells = [
                VERBS[verb],
                f"{one.count:,}",
                f"{one.cpu_seconds:.1f} s",
                f"{1e3 * one.cpu_seconds / one.count:.2f} ms",
                f"{(one.memory - less) / (one.count - fewer) / 1e3:.2f} kB",
                exponent,
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", "![Processor time over the number of pairs](plots/scale.svg)"]) + "\n"


def draw_plot(growths: Mapping[str, Sequence[Growth]]) -> None:
    """Processor time over the number of pairs, both logarithmic."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "pixelwise", "font.family": "DejaVu Sans", "svg.fonttype": "none"}):
        figure = Figure(figsize=(6.4, 4), layout="constrained")
        axes = figure.add_subplot()
        for verb, found in growths.items():
            shown = [one for one in found if one.cpu_seconds > 0]
            if not shown:
                continue
            axes.plot([one.count for one in shown], [one.cpu_seconds for one in shown], "o-", label=verb)
        axes.set(xscale="log", yscale="log", xlabel="pairs", ylabel="processor time (s)")
        axes.grid(visible=True, which="major", alpha=0.3)
        if axes.lines:
            axes.legend(frameon=False)
        figure.savefig(HERE / "plots" / "scale.svg", metadata={"Date": None})
    record_file(HERE / "plots" / "scale.svg")


if __name__ == "__main__":
    sys.exit(main())
