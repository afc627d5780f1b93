"""Training speed beside other busy processes, with OpenMP threads that spin or sleep while they wait.

    python benchmarks/contention.py [--rounds 9] [--seconds 2] [--patience 600]

Each contender is a separate process that runs the steps of `pixelwise train town-demo` with one thread per core:

- `spinning`: waiting threads spin 300,000 times, the default of GNU's OpenMP runtime and so of PyTorch on Linux (and of
  earlier versions of Pixelwise).
- `pixelwise`: the setting that `import pixelwise` makes, which is to spin briefly and then sleep.
- `passive`: `OMP_WAIT_POLICY=PASSIVE`, which never spins.

Each is measured alone, beside one and two processes that only burn a core (`while True: pass`), and beside two training
runs of the same recipe with one thread per core each: runs that spin, and runs with the contender's own setting.
Neighbours are stopped (SIGSTOP) while they are not needed; contenders wait for a line on their standard input.

Other users of the machine spoil a turn: before each turn the benchmark waits until all other processes use less than a
tenth of a core, and if they used more during a turn, it repeats the turns of all contenders. Needs Linux (`/proc`).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from measuring import ANSWER, HERE, Summary, answer, pipe, write_result

from pixelwise.machine.facts import machine_facts

RECIPE = "town-demo"
SPINNING, OURS = "spinning", "pixelwise"
POLICIES: dict[str, dict[str, str]] = {
    SPINNING: {"GOMP_SPINCOUNT": "300000"},
    OURS: {},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
}
"""Contender -> environment variables it is started with."""
OPENMP = ("OMP_", "GOMP_", "KMP_", "MKL_")
"""Prefixes of environment variables that would interfere with `POLICIES`."""
ALONE, ONE, TWO = "alone", "1 busy loop", "2 busy loops"
SPINNING_TRAININGS, OWN_TRAININGS = "2 trainings that spin", "2 trainings like itself"
SITUATIONS = (ALONE, ONE, TWO, SPINNING_TRAININGS, OWN_TRAININGS)
QUIET, SPOILT = 0.1, 0.1


class Turn(NamedTuple):
    """Measurement of one turn of a contender.

    Attributes:
        images: Number of images trained on.
        seconds: Wall-clock time.
        cores: Average number of cores used by the contender.
        others: Average number of cores used by processes outside this benchmark.
    """

    images: int
    seconds: float
    cores: float
    others: float


Turns = dict[str, dict[str, list[Turn]]]
"""Situation -> contender -> one turn per round."""


class Process(NamedTuple):
    """A contender or a neighbour process."""

    popen: subprocess.Popen[str]

    def say(self, line: str) -> str:
        """Send a line and return the answer."""
        stream = pipe(self.popen.stdin)
        stream.write(line + "\n")
        stream.flush()
        return self.answer()

    def answer(self) -> str:
        """The next line addressed to this process."""
        return answer(self.popen)

    def cpu_seconds(self) -> float:
        """CPU time of all threads of the process so far."""
        fields = Path(f"/proc/{self.popen.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure and write the result; with `--train`, act as a contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="minimum length of a turn; its last step is completed"
    )
    parser.add_argument("--patience", type=float, default=600.0, help="total seconds to wait for a quiet machine")
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train()
        return 0
    turns = measure(options.rounds, options.seconds, options.patience)
    command = f"python benchmarks/contention.py --rounds {options.rounds} --seconds {options.seconds:g}"
    found = summaries(turns)
    write_result("contention", {"command": command, "recipe": RECIPE, "beside": found, "turns": turns})
    text = page(command, msgspec.to_builtins(found))
    (HERE / "contention.md").write_text(text, "utf-8")
    print(text)
    return 0


def measure(rounds: int, seconds: float, patience: float) -> Turns:
    """Measure every contender in every situation in every round, after one warm-up turn each."""
    turns: Turns = {place: {name: [] for name in POLICIES} for place in SITUATIONS}
    with contextlib.ExitStack() as stack:
        contenders = {name: stack.enter_context(trainer(name)) for name in POLICIES}
        loops = [stack.enter_context(busy_loop()) for _ in range(2)]
        trainings = {name: [stack.enter_context(trainer(name)) for _ in range(2)] for name in POLICIES}
        for several in trainings.values():
            for one in several:
                neighbour(one)
        for contender in contenders.values():
            contender.say(str(seconds))
        end = time.monotonic() + patience
        for number in range(rounds):
            for place in SITUATIONS:
                # The order of the contenders rotates from round to round.
                names = list(POLICIES)[number % len(POLICIES) :] + list(POLICIES)[: number % len(POLICIES)]
                beside = {
                    ALONE: [],
                    ONE: loops[:1],
                    TWO: loops,
                    SPINNING_TRAININGS: trainings[SPINNING],
                }
                pairs = [(contenders[name], beside.get(place, trainings[name])) for name in names]
                for name, turn in zip(names, quiet_turns(pairs, seconds, end), strict=True):
                    turns[place][name].append(turn)
                    print(f"{number} {place}, {name}: {rate(turn):.2f} images/s, others {turn.others:.2f}", flush=True)
    return turns


def quiet_turns(pairs: Sequence[tuple[Process, Sequence[Process]]], seconds: float, end: float) -> list[Turn]:
    """One undisturbed turn of each contender beside its neighbours; after `end`, disturbed turns are accepted."""
    while True:
        turns: list[Turn] = []
        for contender, neighbours in pairs:
            while others_now() > QUIET and time.monotonic() < end:
                time.sleep(1)
            turns.append(take_turn(contender, neighbours, seconds))
            if turns[-1].others > SPOILT and time.monotonic() < end:
                break
        else:
            return turns


def take_turn(contender: Process, neighbours: Sequence[Process], seconds: float) -> Turn:
    """Let a contender train beside its neighbours for one turn."""
    with running(neighbours):
        time.sleep(0.3)
        ours = [contender, *neighbours]
        busy, used, own = busy_seconds(), sum(one.cpu_seconds() for one in ours), contender.cpu_seconds()
        start = time.perf_counter()
        images = int(contender.say(str(seconds)))
        took = time.perf_counter() - start
        others = busy_seconds() - busy - (sum(one.cpu_seconds() for one in ours) - used)
        return Turn(images, took, (contender.cpu_seconds() - own) / took, max(0.0, others / took))


@contextlib.contextmanager
def running(neighbours: Sequence[Process]) -> Iterator[None]:
    """Context in which stopped processes run."""
    for one in neighbours:
        one.popen.send_signal(signal.SIGCONT)
    try:
        yield
    finally:
        for one in neighbours:
            one.popen.send_signal(signal.SIGSTOP)


def others_now() -> float:
    """Number of cores that are busy while this benchmark is idle."""
    busy, start = busy_seconds(), time.perf_counter()
    time.sleep(0.25)
    return (busy_seconds() - busy) / (time.perf_counter() - start)


def busy_seconds() -> float:
    """CPU time of all processes since the machine booted."""
    user, nice, system, _, _, interrupt, soft_interrupt, *_ = map(
        int, Path("/proc/stat").read_text("ascii").splitlines()[0].split()[1:]
    )
    return (user + nice + system + interrupt + soft_interrupt) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def started(command: Sequence[str], variables: dict[str, str]) -> Iterator[Process]:
    """A process whose environment has no OpenMP settings except `variables`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OPENMP)}
    with subprocess.Popen(
        command, env=clean | variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as popen:
        try:
            yield Process(popen)
        finally:
            popen.kill()


@contextlib.contextmanager
def trainer(policy: str) -> Iterator[Process]:
    """A training process that has taken its first step and waits."""
    with started([sys.executable, __file__, "--train"], POLICIES[policy]) as process:
        process.answer()
        yield process


@contextlib.contextmanager
def busy_loop() -> Iterator[Process]:
    """A stopped process that burns a core while it runs."""
    with started([sys.executable, "-c", "while True: pass"], {}) as process:
        process.popen.send_signal(signal.SIGSTOP)
        yield process


def neighbour(process: Process) -> None:
    """Let a waiting training process run without end, and stop it."""
    assert process.popen.stdin is not None  # noqa: S101
    process.popen.stdin.write("inf\n")
    process.popen.stdin.flush()
    process.popen.send_signal(signal.SIGSTOP)


def train() -> None:
    """For every number of seconds read from standard input, train that long and print the number of images."""
    import torch
    from training import pixelwise_steps

    from pixelwise.datasets.opening import open_dataset, settled
    from pixelwise.machine.threads import usable_cores
    from pixelwise.recipes.catalog import recipe as find_recipe
    from pixelwise.training.setup import use_processor

    use_processor(torch.device("cpu"), usable_cores())
    recipe = find_recipe(RECIPE)
    dataset = open_dataset(recipe.data, None)
    recipe = msgspec.structs.replace(recipe, data=settled(recipe.data, dataset))
    crop = recipe.augment.crop or (144, 192)
    steps = pixelwise_steps(recipe, dataset, size=crop)
    next(steps)
    print(f"{ANSWER}ready", flush=True)
    for line in sys.stdin:
        end, taken = time.perf_counter() + float(line), 0
        while taken == 0 or time.perf_counter() < end:
            next(steps)
            taken += 1
        print(f"{ANSWER}{taken * recipe.sampling.batch_size}", flush=True)


def rate(turn: Turn) -> float:
    """Images per second."""
    return turn.images / turn.seconds


def spread(values: Iterable[float]) -> Summary:
    """Median, minimum and maximum."""
    found = sorted(values)
    return Summary(statistics.median(found), found[0], found[-1])


def overall(turns: Sequence[Turn]) -> float:
    """Images per second over all turns together, in which a stalled turn counts with its full length."""
    return sum(turn.images for turn in turns) / sum(turn.seconds for turn in turns)


def summaries(turns: Turns) -> dict[str, dict[str, dict[str, Summary | float]]]:
    """The reported values of every situation and contender."""
    return {
        place: {
            name: {
                "images_per_second": spread(map(rate, of)),
                "overall": overall(of),
                "times_spinning": spread(rate(our) / rate(their) for our, their in zip(of, by[SPINNING], strict=True)),
                "times_spinning_overall": overall(of) / overall(by[SPINNING]),
                "cores": statistics.median(turn.cores for turn in of),
                "others": statistics.median(turn.others for turn in of),
            }
            for name, of in by.items()
        }
        for place, by in turns.items()
    }


def page(command: str, found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """The tables as Markdown."""
    machine = machine_facts()
    lines = [
        "# Beside other processes",
        "",
        f"`{command}` on {machine.cores} cores ({machine.cpu}): images per second of `{RECIPE}` with a thread per "
        "core, contenders in turns: median of the rounds (minimum to maximum). `spinning` is PyTorch's default.",
        "",
        f"| beside | {' | '.join(POLICIES)} | {OURS} / {SPINNING} |",
        "|---|" + "---|" * (len(POLICIES) + 1),
    ]
    for place, by in found.items():
        cells = ["{:.1f} ({:.1f} to {:.1f})".format(*one["images_per_second"]) for one in by.values()]
        cells.append("{:.2f}x ({:.2f} to {:.2f})".format(*by[OURS]["times_spinning"]))
        lines.append(f"| {place} | {' | '.join(cells)} |")
    lines += [
        "",
        "All turns together, images divided by seconds, so that a stalled turn counts with its full length:",
        "",
        f"| beside | {' | '.join(POLICIES)} | {OURS} / {SPINNING} |",
        "|---|" + "---|" * (len(POLICIES) + 1),
    ]
    for place, by in found.items():
        cells = [f"{one['overall']:.1f}" for one in by.values()] + [f"{by[OURS]['times_spinning_overall']:.2f}x"]
        lines.append(f"| {place} | {' | '.join(cells)} |")
    others = max(one["others"] for by in found.values() for one in by.values())
    lines += ["", f"Other processes used at most {others:.2f} cores during the median turn."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
