"""Training images per second beside other busy processes, with OpenMP threads that spin and that sleep, in turns.

    python benchmarks/contention.py [--rounds 9] [--seconds 2] [--patience 600]

Contenders, each a process of its own that runs the steps of `pixelwise train town-demo` with one thread per core:

- `spinning`: waiting threads spin as GNU's runtime lets them where nobody says anything (300,000 times): the default
  of PyTorch for Linux, and that of Pixelwise before.
- `pixelwise`: as `import pixelwise` sets it, that is spin shortly, then sleep.
- `passive`: `OMP_WAIT_POLICY=PASSIVE`, never spin.

Each is measured alone, beside one and two processes that do nothing but burn a core (`while True: pass`), and beside
two trainings of the same recipe with one thread per core each: such that spin, and such as the contender itself.
Neighbours are stopped (SIGSTOP) while they are not wanted, contenders wait for a line on their standard input.

Whoever else uses the machine spoils a turn: before each the benchmark waits until everybody else takes less than a
tenth of a core, and it repeats the turns of all contenders if they took more during one. Needs Linux (`/proc`).
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
from measuring import HERE, Summary, write_result

from pixelwise.machine.facts import machine_facts

RECIPE = "town-demo"
SPINNING, OURS = "spinning", "pixelwise"
POLICIES: dict[str, dict[str, str]] = {
    SPINNING: {"GOMP_SPINCOUNT": "300000"},
    OURS: {},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
}
"""Contender -> the variables it is started with."""
OPENMP = ("OMP_", "GOMP_", "KMP_", "MKL_")
"""How variables begin that would disturb them."""
ALONE, ONE, TWO = "alone", "1 busy loop", "2 busy loops"
SPINNING_TRAININGS, OWN_TRAININGS = "2 trainings that spin", "2 trainings like itself"
SITUATIONS = (ALONE, ONE, TWO, SPINNING_TRAININGS, OWN_TRAININGS)
ANSWER = "contender: "
QUIET, SPOILT = 0.1, 0.1


class Turn(NamedTuple):
    """What a contender did in a turn.

    Attributes:
        images: That it trained on.
        seconds: That it took, on the wall.
        cores: Cores it used on average.
        others: Cores that processes outside of this benchmark used on average.
    """

    images: int
    seconds: float
    cores: float
    others: float


Turns = dict[str, dict[str, list[Turn]]]
"""By situation and contender, a turn per round."""


class Process(NamedTuple):
    """A contender or a neighbour."""

    popen: subprocess.Popen[str]

    def say(self, line: str) -> str:
        """Its answer to a line."""
        assert self.popen.stdin is not None  # noqa: S101
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()
        return self.answer()

    def answer(self) -> str:
        """Its next line that is meant for this process; libraries may print others."""
        assert self.popen.stdout is not None  # noqa: S101
        for line in self.popen.stdout:
            if line.startswith(ANSWER):
                return line.removeprefix(ANSWER).strip()
        raise RuntimeError(f"a process ended with status {self.popen.wait()}")

    def cpu_seconds(self) -> float:
        """CPU time of all its threads so far."""
        fields = Path(f"/proc/{self.popen.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure and write the result; with `--train` be one of those measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn at least; a step is not cut short")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds to wait for a quiet machine, in all")
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
    """Every contender in every situation in every round, after turns alone that do not count."""
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
                # Whoever comes first in a round is another one each time.
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
    """A turn of each contender beside its neighbours, in which nobody else disturbs; after `end` whatever they are."""
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
    """Let a contender train beside its neighbours."""
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
    """Let stopped processes go on for a while."""
    for one in neighbours:
        one.popen.send_signal(signal.SIGCONT)
    try:
        yield
    finally:
        for one in neighbours:
            one.popen.send_signal(signal.SIGSTOP)


def others_now() -> float:
    """Cores that are busy while this benchmark does nothing."""
    busy, start = busy_seconds(), time.perf_counter()
    time.sleep(0.25)
    return (busy_seconds() - busy) / (time.perf_counter() - start)


def busy_seconds() -> float:
    """CPU time of all processes since the machine was started."""
    user, nice, system, _, _, interrupt, soft_interrupt, *_ = map(
        int, Path("/proc/stat").read_text("ascii").splitlines()[0].split()[1:]
    )
    return (user + nice + system + interrupt + soft_interrupt) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def started(command: Sequence[str], variables: dict[str, str]) -> Iterator[Process]:
    """A process in an environment in which nobody chose anything but `variables`."""
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
    """A process that has taken its first step and waits."""
    with started([sys.executable, __file__, "--train"], POLICIES[policy]) as process:
        process.answer()
        yield process


@contextlib.contextmanager
def busy_loop() -> Iterator[Process]:
    """A stopped process that burns a core when it goes on."""
    with started([sys.executable, "-c", "while True: pass"], {}) as process:
        process.popen.send_signal(signal.SIGSTOP)
        yield process


def neighbour(process: Process) -> None:
    """Make a waiting training one that goes on for ever, and stop it."""
    assert process.popen.stdin is not None  # noqa: S101
    process.popen.stdin.write("inf\n")
    process.popen.stdin.flush()
    process.popen.send_signal(signal.SIGSTOP)


def train() -> None:
    """For every number on standard input take steps for as many seconds, and say how many images that were."""
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
    """Median, least and most."""
    found = sorted(values)
    return Summary(statistics.median(found), found[0], found[-1])


def overall(turns: Sequence[Turn]) -> float:
    """Images per second of all turns together: a turn that got stuck counts for as long as it took."""
    return sum(turn.images for turn in turns) / sum(turn.seconds for turn in turns)


def summaries(turns: Turns) -> dict[str, dict[str, dict[str, Summary | float]]]:
    """What is told of every situation and contender."""
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
        "core, contenders in turns: median of the rounds (least to most). `spinning` is what PyTorch does by itself.",
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
        "All turns together, images over seconds, so that a turn that got stuck counts for as long as it took:",
        "",
        f"| beside | {' | '.join(POLICIES)} | {OURS} / {SPINNING} |",
        "|---|" + "---|" * (len(POLICIES) + 1),
    ]
    for place, by in found.items():
        cells = [f"{one['overall']:.1f}" for one in by.values()] + [f"{by[OURS]['times_spinning_overall']:.2f}x"]
        lines.append(f"| {place} | {' | '.join(cells)} |")
    others = max(one["others"] for by in found.values() for one in by.values())
    lines += ["", f"Others took at most {others:.2f} cores during the median turn."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
