"""Helpers of the benchmarks: interleaved measurement in one process, medians with spread, result files."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from pixelwise.machine.facts import machine_facts, version_facts

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "measurements"
ANSWER = "contender: "
"""Begins the lines that a contender in a process of its own addresses to the benchmark; libraries may print others."""


class Sample(NamedTuple):
    """Time of one round of a contender: CPU time of all threads of the process, and wall-clock time."""

    cpu_seconds: float
    wall_seconds: float


class Summary(NamedTuple):
    """Median, minimum and maximum over the rounds of a contender."""

    median: float
    low: float
    high: float


def answer(process: subprocess.Popen[str]) -> str:
    """What a contender in a process of its own says next."""
    for line in pipe(process.stdout):
        if line.startswith(ANSWER):
            return line.removeprefix(ANSWER).strip()
    raise RuntimeError(f"a contender ended with status {process.wait()}")


def pipe(stream: IO[str] | None) -> IO[str]:
    """The stream of a process that was started with pipes."""
    if stream is None:
        raise RuntimeError("the contender was started without pipes")
    return stream


def interleave(contenders: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 1) -> dict[str, list[Sample]]:
    """Measure all contenders in every round, so that a busy minute of the machine affects all of them.

    Args:
        contenders: Name -> function that runs one round.
        rounds: Number of measured rounds.
        warmup: Number of rounds before them that are not counted.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in contenders}
    for number in range(-warmup, rounds):
        for name, work in contenders.items():
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            sample = Sample(time.process_time() - cpu, time.perf_counter() - wall)
            if number >= 0:
                samples[name].append(sample)
    return samples


def summary(samples: Sequence[Sample], per: int = 1, clock: str = "cpu") -> Summary:
    """Median, minimum and maximum of seconds per item.

    Args:
        samples: The rounds of a contender.
        per: Number of items (images, steps, ...) processed in a round.
        clock: `cpu` for CPU time or `wall` for wall-clock time.
    """
    seconds = [(sample.cpu_seconds if clock == "cpu" else sample.wall_seconds) / per for sample in samples]
    return Summary(statistics.median(seconds), min(seconds), max(seconds))


def rates(samples: Sequence[Sample], per: int = 1, clock: str = "cpu") -> Summary:
    """Median, minimum and maximum of items per second; see `summary`."""
    seconds = summary(samples, per, clock)
    return Summary(1 / seconds.median, 1 / seconds.high, 1 / seconds.low)


def ratios(ours: Sequence[Sample], theirs: Sequence[Sample], clock: str = "cpu") -> Summary:
    """Speed-up of `ours` over `theirs`, round by round."""
    found = [
        their.cpu_seconds / our.cpu_seconds if clock == "cpu" else their.wall_seconds / our.wall_seconds
        for our, their in zip(ours, theirs, strict=True)
    ]
    return Summary(statistics.median(found), min(found), max(found))


def write_result(name: str, content: Mapping[str, object]) -> Path:
    """Write `content`, the machine and the versions to `benchmarks/measurements/NAME.json`."""
    facts = {"machine": msgspec.to_builtins(machine_facts()), "versions": version_facts()}
    encoded = msgspec.json.encode(facts | msgspec.to_builtins(content))
    path = RESULTS / f"{name}.json"
    path.write_bytes(msgspec.json.format(encoded, indent=1) + b"\n")
    return path
