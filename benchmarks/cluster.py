"""Workers that die: what a prediction into tars loses by it, measured on this machine and modelled for large clusters.

    python benchmarks/cluster.py [--images 4000] [--shards 80] [--every 5] [--seed 0]

Draws small images, trains a miniature network for a few steps and puts the images into shards. `pixelwise predict
--tars` then predicts them in a process that is killed (SIGKILL) `--every` seconds of its work, after an exponentially
distributed time, and started again until it succeeds; its output is compared with that of a process that nobody
killed. Lost is the work on the unit that a killed process had begun and not committed: by the formula s / 2m of all
work, for units of s seconds and m seconds between losses, if s is much smaller than m.

The model is held against this measurement. It then takes the spread of the units and the seconds of a start from it,
and applies them to 120,000 units of `--unit` seconds and 256 workers that each fail at a given rate: how much is done
twice, how much longer everything takes, for workers that take the next unit when they are free (`--engine ray`) and
for parts that are divided beforehand (`--shard I/N`). Writes benchmarks/measurements/cluster.json and cluster.md.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from measuring import HERE, write_result
from PIL import Image

import pixelwise
from pixelwise.machine.facts import machine_facts

UNITS, WORKERS = 120_000, 256
RATES = (0.0, 0.01, 0.05, 0.1)
"""Failures of a worker per hour."""
LATEST = 0.01
REPEATED = 200
"""Number of draws of the model that is held against the measurement."""
RECIPE = """
name = "miniature"
[model]
family = "enet"
[augment]
crop = [32, 48]
[optimizer]
lr = 0.001
[schedule]
iterations = 8
[selection]
split = "train"
[evaluation]
split = "train"
[sampling]
batch_size = 2
"""


class Measured(NamedTuple):
    """What was measured.

    Attributes:
        images: Number of images.
        units: Number of units.
        unit_seconds: Seconds of each unit of the process that was not killed.
        start_seconds: Seconds from the start of a process to its first unit, median.
        kills: Number of processes that were killed.
        work_seconds: Seconds between the first unit and the end, of all processes.
        lost_seconds: Seconds of work on units that were begun by a process that was killed.
        same: Whether the outputs are equal, byte by byte.
    """

    images: int
    units: int
    unit_seconds: list[float]
    start_seconds: float
    kills: int
    work_seconds: float
    lost_seconds: float
    same: bool


class Outcome(NamedTuple):
    """What the model says: share of the work that is done again, and the time over that of workers that never fail."""

    again: float
    slower: float


def main() -> int:
    """Measure, model and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--shards", type=int, default=80)
    parser.add_argument("--every", type=float, default=5.0, help="mean seconds of work between two kills")
    parser.add_argument("--unit", type=float, default=10.0, help="seconds of a unit in the model")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(Path(folder), options.images, options.shards, options.every, options.seed)
    mean = statistics.mean(measured.unit_seconds)
    spread = statistics.stdev(measured.unit_seconds) / mean
    model = {
        division: {
            str(rate): modelled(
                options.unit, spread, measured.start_seconds, rate, division, seed=options.seed
            )._asdict()
            for rate in RATES
        }
        for division in ("free", "parts")
    }
    calibration = statistics.mean(
        modelled(
            mean,
            spread,
            measured.start_seconds,
            3600 / options.every,
            "free",
            units=measured.units,
            workers=1,
            seed=seed,
        ).again
        for seed in range(REPEATED)
    )
    machine = machine_facts()
    result = {
        "command": " ".join(["python benchmarks/cluster.py", *sys.argv[1:]]),
        "machine": {"cpu": machine.cpu, "cores": machine.cores},
        "every": options.every,
        "measured": measured._asdict(),
        "lost_share": measured.lost_seconds / measured.work_seconds,
        "formula": mean / (2 * options.every),
        "calibration": calibration,
        "unit": options.unit,
        "model": model,
    }
    write_result("cluster", result)
    text = page(result)
    (HERE / "cluster.md").write_text(text, "utf-8")
    print(text)
    return 0 if measured.same else 1


def measure(folder: Path, images: int, shards: int, every: float, seed: int) -> Measured:
    """Predict without and with kills."""
    data, sharded = folder / "data", folder / "shards"
    draw(data, images)
    pixelwise.shard(data, sharded, size=f"{directory_size(data) // shards}B")
    (folder / "recipe.toml").write_text(RECIPE, "utf-8")
    run = folder / "run"
    small = folder / "small"
    draw(small, 16)
    pixelwise.train(folder / "recipe.toml", small, output=run, evaluate=False, threads=1)
    units, _, _ = predict(run, sharded, folder / "whole", None)
    chance = random.Random(seed)
    work = lost = 0.0
    kills, starts = 0, []
    while True:
        after = chance.expovariate(1 / every)
        finished, started, spent = predict(run, sharded, folder / "killed", after)
        work += spent
        if started is not None:
            starts.append(started)
        if finished is not None:
            break
        kills += 1
        lost += lost_work(folder / "killed")
    same = tree(folder / "whole") == tree(folder / "killed")
    if units is None:
        raise AssertionError  # nobody killed it
    return Measured(images, len(units), units, statistics.median(starts), kills, work, lost, same)


def predict(
    run: Path, data: Path, output: Path, kill_after: float | None
) -> tuple[list[float] | None, float | None, float]:
    """Predict in a process of its own.

    Args:
        run: The run.
        data: The images.
        output: The output.
        kill_after: Seconds of work after which the process is killed; None lets it finish.

    Returns:
        Seconds between the receipts that it wrote, None if it was killed; seconds from its start to its first unit;
        seconds from then on.
    """
    before = {path.name for path in output.glob("receipts/*/*")} | {path.name for path in output.glob("attempts/*/*")}
    start = time.time()
    command = [sys.executable, "-m", "pixelwise", "predict", run, data, "-o", output, "--tars", "--no-overlay"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    begun = None
    while process.poll() is None:
        if begun is None and any(path.name not in before for path in output.glob("attempts/*/*")):
            begun = time.time()
        if begun is not None and kill_after is not None and time.time() - begun >= kill_after:
            process.kill()
            process.wait()
            return None, begun - start, time.time() - begun
        time.sleep(LATEST)
    if process.returncode:
        raise SystemExit(f"the prediction ended with status {process.returncode}")
    begun = begun or time.time()
    times = sorted(path.stat().st_mtime for path in output.glob("receipts/*/*.json") if path.name not in before)
    return [b - a for a, b in zip([begun, *times], times, strict=False)], begun - start, time.time() - begun


def lost_work(output: Path) -> float:
    """Seconds since the latest attempt that has no receipt was begun."""
    done = {path.stem for path in output.glob("receipts/*/*.json")}
    begun = [path.stat().st_mtime for path in output.glob("attempts/*/*") if path.name.rpartition(".")[0] not in done]
    return max(0.0, time.time() - max(begun)) if begun else 0.0


def draw(folder: Path, count: int) -> None:
    """Images of noise with a mask each."""
    for kind in ("images", "masks"):
        (folder / kind / "train").mkdir(parents=True)
    for number in range(count):
        values = np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8)
        Image.fromarray(values).save(folder / f"images/train/{number:06}.png")
        Image.fromarray((values[..., 0] > 127).astype(np.uint8)).save(folder / f"masks/train/{number:06}.png")
    (folder / "dataset.toml").write_text('classes = ["dark", "light"]\n', "utf-8")


def directory_size(folder: Path) -> int:
    """Bytes that the files of a folder take in tars."""
    return sum(512 + -(-path.stat().st_size // 512) * 512 for path in folder.rglob("*.png"))


def tree(output: Path) -> dict[str, str]:
    """Name -> SHA-256 of every file of an output."""
    return {
        path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in output.rglob("*")
        if path.is_file()
    }


def modelled(
    seconds: float,
    spread: float,
    start: float,
    failures_per_hour: float,
    division: str,
    *,
    units: int = UNITS,
    workers: int = WORKERS,
    seed: int = 0,
) -> Outcome:
    """Simulate workers, one event after the other.

    Args:
        seconds: Mean seconds of a unit, whose times are log-normally distributed.
        spread: Their standard deviation over their mean.
        start: Seconds that a worker takes to start, at first and after each failure.
        failures_per_hour: Failures of a worker, exponentially distributed.
        division: `free`: a worker takes the next unit; `parts`: each has its own ones.
        units: Number of units.
        workers: Number of workers.
        seed: Seed of all draws.
    """
    chance = random.Random(seed)
    sigma = math.sqrt(math.log(1 + spread**2))
    times = [chance.lognormvariate(math.log(seconds) - sigma**2 / 2, sigma) for _ in range(units)]
    ends = {}
    again = {}
    for rate in (0.0, failures_per_hour):
        ends[rate], again[rate] = _simulated(times, start, rate, division, workers, random.Random(seed + 1))
    work = sum(times)
    return Outcome(again[failures_per_hour] / work, ends[failures_per_hour] / ends[0.0])


def _simulated(
    times: list[float], start: float, rate: float, division: str, workers: int, chance: random.Random
) -> tuple[float, float]:
    """Time until all is done, and seconds of work that were lost."""
    if division == "free":
        queues: list[Iterator[float]] = [iter(times)] * workers
    else:
        count = len(times)
        queues = [iter(times[count * number // workers : count * (number + 1) // workers]) for number in range(workers)]

    def life() -> float:
        return chance.expovariate(rate / 3600) if rate else math.inf

    end = lost = 0.0
    # (when it is free, number, when it fails, the unit that it has to do again)
    events: list[tuple[float, int, float, float | None]] = [
        (start, number, start + life(), None) for number in range(workers)
    ]
    heapq.heapify(events)
    while events:
        now, number, fails, unit = heapq.heappop(events)
        unit = next(queues[number], None) if unit is None else unit
        if unit is None:
            continue
        if now + unit <= fails:
            end = max(end, now + unit)
            heapq.heappush(events, (now + unit, number, fails, None))
        else:
            lost += fails - now
            heapq.heappush(events, (fails + start, number, fails + start + life(), unit))
    return end, lost


def page(result: dict) -> str:
    """The tables."""
    measured = result["measured"]
    seconds = statistics.mean(measured["unit_seconds"])
    machine = result["machine"]
    lines = [
        "# Workers that die",
        "",
        f"`{result['command']}` on {machine['cores']} cores ({machine['cpu']}): {measured['images']} images of 64x48 "
        f"in {measured['units']} units of {seconds:.2f} s. The process was killed {measured['kills']} times, once in "
        f"{result['every']:g} s of its work on average, and started again, {measured['start_seconds']:.1f} s each.",
        "",
        "| | measured | formula s / 2m | model |",
        "|---|---|---|---|",
        f"| work that was lost | {result['lost_share']:.1%} | {result['formula']:.1%} | {result['calibration']:.1%} |",
        "",
        "The output is equal to that of a process that nobody killed, byte by byte."
        if measured["same"]
        else "**The output differs from that of a process that nobody killed.**",
        "",
        f"## {UNITS:,} units of {result['unit']:g} s, {WORKERS} workers",
        "",
        "A model, not measured: spread and starts as above, failures of each worker at random. Work that is done "
        "again, and the time over that of workers that never fail.",
        "",
        "| failures of a worker per hour | free workers: again | time | parts divided beforehand: again | time |",
        "|---|---|---|---|---|",
    ]
    for rate in map(str, RATES):
        free, parts = (result["model"][division][rate] for division in ("free", "parts"))
        cells = [f"{one['again']:.3%} | {one['slower']:.3f}x" for one in (free, parts)]
        lines.append(f"| {float(rate):.0%} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
