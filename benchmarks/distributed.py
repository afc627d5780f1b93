"""Training by two processes beside training by one: its speed, measured in turns, and what the processes send.

    python benchmarks/distributed.py [--rounds 5] [--steps 2]
    python benchmarks/distributed.py --recount        # counts messages again, and keeps what was measured

Each contender is a training with its own processes, which wait for a line on their standard input while another one
works: one process with one thread, one process with two threads, and two processes with one thread each, on the same
steps of the same recipe on the synthetic town. Each recipe is measured in both ways of dividing a step: `whole`, where
a process takes whole batches, and `split`, where it takes a part of every batch (docs/cluster.md). Two trainings that
know nothing of each other, with one thread each, take all of these steps at the same time: how much slower they are
than one alone is what the processes share, memory and clock, and no way to work together could be faster.

The numbers of messages of a step and the efficiency on networks are those of `traffic.py`, which says how. A GPU's time
for the computation of a step is not measured either: it is that of `steps.py`'s floor for the ceilings below, at the
share of it below, with so many images of the recipe's crop on each GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import psutil
import torch
from measuring import ANSWER, HERE, RESULTS, Sample, Summary, answer, pipe, rates, ratios, write_result
from steps import Ceilings, count_floor
from traffic import BACKWARD, HOST_HOP, LAUNCH, NETWORKS, Message, count, counted_recipe, predicted, totals

from pixelwise.datasets.opening import open_dataset, settled
from pixelwise.machine.facts import machine_facts, version_facts
from pixelwise.models import build_model
from pixelwise.observer import SILENT
from pixelwise.ranks import Ranks
from pixelwise.ranks.joining import joined
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.lengths import steps_per_epoch
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.training.batches import TrainingPairs, training_batches
from pixelwise.training.decoded_cache import keep_decoded
from pixelwise.training.optimization.optimizers import set_learning_rates
from pixelwise.training.precision import training_outputs
from pixelwise.training.setup import use_processor
from pixelwise.training.signals import StopRequest
from pixelwise.training.state import begin_state
from pixelwise.training.step import train_step
from pixelwise.training.together.agreement import Loaded, agree
from pixelwise.training.together.division import Division

MEASURED = ("unet-resnet18", "enet-camvid")
CROP = (192, 256)
IMAGES = 8
"""Images of a step."""
KINDS = {"whole": (IMAGES // 2, 2), "split": (IMAGES, 1)}
"""How two processes divide a step -> batch size and number of batches of the step."""


class Shape(NamedTuple):
    """A contender.

    Attributes:
        processes: Number of its processes.
        threads: Threads of each.
        together: Whether they divide the steps; otherwise each takes all of them.
    """

    processes: int
    threads: int
    together: bool = True

    @property
    def copies(self) -> int:
        """How often it takes every step."""
        return 1 if self.together else self.processes


SHAPES = {
    "1 process, 1 thread": Shape(1, 1),
    "1 process, 2 threads": Shape(1, 2),
    "2 processes, 1 thread each": Shape(2, 1),
    "2 trainings, 1 thread each": Shape(2, 1, together=False),
}
ONE, THREADS, PROCESSES, APART = SHAPES
COUNTED = {
    "enet-camvid": (360, 480),
    "unet-resnet18": (352, 480),
    "segformer-b0-cityscapes": (1024, 1024),
    "pspnet-r101-d8-cityscapes": (512, 1024),
}
"""Recipe whose messages are counted -> crop for which they are predicted."""
GPU = Ceilings(copied=2.5e12, multiplied={"bfloat16": 3e14})
"""Assumed: about an H100, which copies 2.5 TB/s and multiplies 6e14 floating-point operations per second."""
SHARE, IMAGES_PER_GPU, WORLDS = 0.5, 8, (8, 64)
QUIET = 0.1
"""Cores that others may use without spoiling the measurement."""
CPU = torch.device("cpu")


class Turn(NamedTuple):
    """A turn of a contender.

    Attributes:
        sample: Its time.
        others: Average number of cores used by processes outside this benchmark.
    """

    sample: Sample
    others: float


class Ratios(NamedTuple):
    """What a contender reaches, round by round, of twice the speed of one process with one thread.

    Attributes:
        threads: One process with two threads.
        processes: Two processes with one thread each.
        apart: Two trainings at the same time, with one thread each: what the machine allows.
        processes_over_threads: Speed of two processes over that of two threads.
        work: Processor time of one process with one thread over that of two processes, which other users of the
            machine disturb less than the speed.
    """

    threads: Summary
    processes: Summary
    apart: Summary
    processes_over_threads: Summary
    work: Summary


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, count, and write the result; with `--contender`, act as a process of a contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2, help="steps of a turn")
    parser.add_argument("--measure", nargs="*", default=MEASURED, metavar="RECIPE", help="recipes to measure")
    parser.add_argument("--count", nargs="*", default=list(COUNTED), choices=list(COUNTED), metavar="RECIPE")
    parser.add_argument("--recount", action="store_true", help="keep what was measured, and only count")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.contender:
        with joined(CPU) as ranks:
            work(msgspec.json.decode(options.contender), options.steps, ranks)
        return 0
    if options.recount:
        content = msgspec.json.decode((RESULTS / "distributed.json").read_bytes())
    else:
        content = measured_content(options.measure, options.rounds, options.steps)
        content["command"] = f"python benchmarks/distributed.py --rounds {options.rounds} --steps {options.steps}"
    content |= counted_content(options.count)
    write_result("distributed", content)
    text = page(content)
    (HERE / "distributed.md").write_text(text, "utf-8")
    print(text)
    return 0


def counted_content(names: Sequence[str]) -> dict[str, Any]:
    """The messages of recipes, and what follows from their numbers and sizes."""
    traffic = counted(names)
    compute = {name: compute_seconds(name) for name in traffic}
    return {
        "traffic": {name: {kind: totals(sent) for kind, sent in by_kind.items()} for name, by_kind in traffic.items()},
        "compute_ms": {name: 1000 * seconds for name, seconds in compute.items()},
        "predicted": {name: predicted(by_kind, compute[name], WORLDS) for name, by_kind in traffic.items()},
    }


def measured_content(names: Sequence[str], rounds: int, steps: int) -> dict[str, Any]:
    """The speed of recipes."""
    turns = {name: measure(name, rounds, steps) for name in names}
    samples = {name: {key: [one.sample for one in taken] for key, taken in by.items()} for name, by in turns.items()}
    others = [one.others for by in turns.values() for taken in by.values() for one in taken]
    return {
        "images_per_round": IMAGES * steps,
        "crop": CROP,
        "others": statistics.median(others) if others else 0.0,
        "measured": {name: summaries(taken, IMAGES * steps) for name, taken in samples.items()},
        "samples": {
            name: {key: [one._asdict() for one in taken] for key, taken in by.items()} for name, by in samples.items()
        },
        "machine": msgspec.to_builtins(machine_facts()),
        "versions": version_facts(),
    }


def measure(name: str, rounds: int, steps: int) -> dict[str, list[Turn]]:
    """Measure all contenders on a recipe in every round, after a warm-up round; the order rotates."""
    with contextlib.ExitStack() as stack:
        contenders = {}
        for kind in KINDS:
            for name_of_shape, shape in SHAPES.items():
                call = {"recipe": name, "kind": kind, "threads": shape.threads}
                started_now = started(call, shape.processes, steps, together=shape.together)
                contenders[f"{kind}, {name_of_shape}"] = stack.enter_context(started_now)
        names = list(contenders)
        turns: dict[str, list[Turn]] = {contender: [] for contender in names}
        for number in range(-1, rounds):
            for contender in names[number % len(names) :] + names[: number % len(names)]:
                turn = take_turn(contenders[contender])
                if number >= 0:
                    turns[contender].append(turn)
                seconds = turn.sample.wall_seconds
                print(f"{number} {name}, {contender}: {seconds:.2f} s, others {turn.others:.2f} cores", flush=True)
    return turns


@contextlib.contextmanager
def started(
    call: Mapping[str, Any], number: int, steps: int = 0, *, together: bool = True
) -> Iterator[list[subprocess.Popen[str]]]:
    """The processes of a contender, which are ready and wait."""
    world = number if together else 1
    words = [sys.executable, __file__, "--steps", str(steps), "--contender", msgspec.json.encode(call).decode()]
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with contextlib.ExitStack() as stack:
        processes = []
        for rank in range(number):
            rank %= world
            numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world}
            variables = {name: str(number) for name, number in numbers.items()}
            process = subprocess.Popen(
                words,
                env={**os.environ, **variables, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.kill)
            processes.append(stack.enter_context(process))
            stack.callback(process.kill)
        if "recipe" in call:
            for process in processes:
                answer(process)
        yield processes


def take_turn(processes: Sequence[subprocess.Popen[str]]) -> Turn:
    """Let a contender take its steps: the time until its last process is done, and the processor time of all."""
    busy, start = busy_seconds(), time.perf_counter()
    for process in processes:
        pipe(process.stdin).write("go\n")
        pipe(process.stdin).flush()
    used = sum(float(answer(process)) for process in processes)
    took = time.perf_counter() - start
    return Turn(Sample(used, took), max(0.0, (busy_seconds() - busy - used) / took))


def busy_seconds() -> float:
    """Processor time of all processes of this machine since it was started."""
    times = psutil.cpu_times()
    return times.user + times.system + getattr(times, "nice", 0.0)


def work(call: dict[str, Any], steps: int, ranks: Ranks) -> None:
    """Be a process of a contender, or count messages."""
    if "count" in call:
        found = {name: {kind: count(name, kind, ranks) for kind in KINDS} for name in call["count"]}
        print(ANSWER + msgspec.json.encode(found).decode(), flush=True)
        return
    use_processor(CPU, call["threads"])
    taking = taken_steps(measured_recipe(call["recipe"], call["kind"]), ranks)
    print(ANSWER, flush=True)
    for _ in sys.stdin:
        start = time.process_time()
        for _ in range(steps):
            next(taking)
        print(f"{ANSWER}{time.process_time() - start}", flush=True)


def measured_recipe(name: str, kind: str) -> Recipe:
    """A recipe on the synthetic town, with the batches of a kind."""
    size, number = KINDS[kind]
    crop = f"[{CROP[0]},{CROP[1]}]"
    changes = [
        "data.dataset=town", "data.town_images=[32,2,2]", f"data.town_size={crop}", f"augment.crop={crop}",
        "data.cache=memory", "precision.dtype=float32", f"sampling.batch_size={size}", f"sampling.accumulate={number}",
    ]  # fmt: skip
    return apply_overrides(find_recipe(name), changes)


def taken_steps(recipe: Recipe, ranks: Ranks) -> Iterator[None]:
    """The steps of `train_loop` without evaluations, checkpoints and display."""
    dataset = open_dataset(recipe.data, None)
    recipe = msgspec.structs.replace(recipe, data=settled(recipe.data, dataset))
    dataset = open_dataset(recipe.data, None)
    division = Division.of(recipe, ranks)
    pairs = TrainingPairs(dataset, dataset.samples(recipe.data.train_split), recipe)
    keep_decoded(pairs, recipe, CROP, SILENT)
    torch.manual_seed(recipe.sampling.seed)
    state = begin_state(build_model(recipe), recipe, CPU)
    state.share(ranks)
    network = training_outputs(state.model, recipe.precision, ranks)
    weights = torch.ones(state.model.num_classes)
    per_epoch = steps_per_epoch(len(pairs), recipe.sampling)
    batches = training_batches(
        pairs, recipe, start=0, steps=1_000_000, workers=0, warn=lambda code, text: print(code, text), division=division
    )
    stop, own = StopRequest(), division.batches(recipe.sampling.accumulate)
    while True:
        loaded = Loaded.of(batches, own)
        agreed = agree(ranks, stop, loaded, recipe, late=False)
        set_learning_rates(state.optimizer, recipe, state.progress.step, per_epoch)
        train_step(recipe, state, network, loaded.batches, weights, division=division, labelled=agreed.labelled)
        state.progress.step += 1
        yield


def counted(names: Sequence[str]) -> dict[str, dict[str, list[Message]]]:
    """Recipe -> kind -> the messages of a step of the first of two processes."""
    with started({"count": list(names)}, 2) as processes:
        found = [answer(process) for process in processes]
    return msgspec.json.decode(found[0], type=dict[str, dict[str, list[Message]]])


def compute_seconds(name: str) -> float:
    """Assumed time in which a GPU computes its images of a step."""
    changes = ["precision.dtype=bfloat16", f"sampling.batch_size={IMAGES_PER_GPU}"]
    return count_floor(counted_recipe(name, *changes), COUNTED[name], GPU).seconds / SHARE


def summaries(samples: Mapping[str, list[Sample]], images: int) -> dict[str, dict[str, Any]]:
    """Kind -> the reported values."""
    made: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        taken = {shape: samples[f"{kind}, {shape}"] for shape in SHAPES}
        found = Ratios(
            threads=ratios(doubled(taken[THREADS]), taken[ONE], "wall"),
            processes=ratios(doubled(taken[PROCESSES]), taken[ONE], "wall"),
            apart=ratios(taken[APART], taken[ONE], "wall"),
            processes_over_threads=ratios(taken[PROCESSES], taken[THREADS], "wall"),
            work=ratios(taken[PROCESSES], taken[ONE], "cpu"),
        )
        made[kind] = {
            "images_per_second": {name: speeds(name, of, images, "wall") for name, of in taken.items()},
            "images_per_cpu_second": {name: speeds(name, of, images, "cpu") for name, of in taken.items()},
            "efficiency": {name: one._asdict() for name, one in found._asdict().items()},
        }
    return made


def speeds(name: str, samples: Sequence[Sample], images: int, clock: str) -> dict[str, float]:
    """Images per second of a contender, of which all its trainings together take `images` once or more often."""
    return rates(samples, images * SHAPES[name].copies, clock)._asdict()


def doubled(samples: Sequence[Sample]) -> list[Sample]:
    """Samples of twice the time."""
    return [Sample(2 * sample.cpu_seconds, 2 * sample.wall_seconds) for sample in samples]


def page(content: Mapping[str, Any]) -> str:
    """The result as Markdown."""
    return "\n".join([*measured_lines(content), "", *traffic_lines(content), "", *predicted_lines(content)]) + "\n"


def measured_lines(content: Mapping[str, Any]) -> list[str]:
    """What was measured."""
    machine, (height, width) = content["machine"], content["crop"]
    lines = [
        "# Several processes",
        "",
        f"`{content['command']}` on {machine['cores']} cores ({machine['cpu']}): images per second of steps of "
        f"{IMAGES} images of {width}x{height}, contenders in turns: median of the rounds (minimum to maximum). "
        f"Efficiency is the speed over twice that of {ONE}, round by round. Two processes divide a step as "
        "[docs/cluster.md](../docs/cluster.md) says: `whole`, each takes one of two batches; `split`, each takes half "
        "of one batch. Processor time is that of one process over that of two, for the same images. Two trainings that "
        "know nothing of each other show what the machine allows: their efficiency is that of perfect processes.",
        "",
        f"| recipe | division | {' | '.join(SHAPES)} | efficiency of 2 threads | of 2 processes | of 2 trainings | "
        "processes / threads | processor time |",
        "|---|---|" + "---|" * (len(SHAPES) + 5),
    ]
    for name, by_kind in content["measured"].items():
        for kind, found in by_kind.items():
            cells = [spread(found["images_per_second"].get(shape), "{:.2f}") for shape in SHAPES]
            cells += [spread(found["efficiency"].get(one), "{:.0%}") for one in ("threads", "processes", "apart")]
            cells.append(spread(found["efficiency"]["processes_over_threads"], "{:.2f}x"))
            cells.append(spread(found["efficiency"]["work"], "{:.0%}"))
            lines.append(f"| {name} | {kind} | {' | '.join(cells)} |")
    others = content["others"]
    told = f"Other processes of the machine used {others:.2f} cores during the median turn"
    if others > QUIET:
        told += ": not every thread had a core, so the efficiencies say little, and only processor time compares"
    return [*lines, "", f"{told}."]


def traffic_lines(content: Mapping[str, Any]) -> list[str]:
    """What was counted."""
    lines = [
        "## What a process sends in a step",
        "",
        "Messages of one step of a process, counted by watching the calls of `torch.distributed` (`traffic.py`): their "
        "number between devices + between processors, and the bytes that a process gives. `whole` with one batch per "
        "process.",
        "",
        "| recipe | division | gradients | normalisation | losses | agreement |",
        "|---|---|---|---|---|---|",
    ]
    for name, by_kind in content["traffic"].items():
        for kind, parts in by_kind.items():
            cells = [
                f"{one['devices']} + {one['processors']}, {size(one['bytes'])}"
                for one in (parts[part] for part in ("gradients", "normalisation", "losses", "agreement"))
            ]
            lines.append(f"| {name} | {kind} | {' | '.join(cells)} |")
    return lines


def predicted_lines(content: Mapping[str, Any]) -> list[str]:
    """What was predicted, and how."""
    columns = [f"{world} GPUs, {network.gigabits:g} Gb/s" for world in WORLDS for network in NETWORKS]
    hops = ", ".join(f"{1e6 * one.hop:g} µs at {one.gigabits:g} Gb/s" for one in NETWORKS)
    lines = [
        "## Predicted efficiency",
        "",
        "Not measured: a model of the counts above. Time of the computation over time of the step,",
        "",
        "```",
        "efficiency = C / (C + exposed + others)",
        f"exposed    = max(G - {BACKWARD:.3g} C (n - 1)/n, G/n)               G: time of all n buckets of gradients",
        "others     = time of all other messages, none of which overlaps with computation",
        "sum        = launch + 2 log2(W) hop + 2 (W - 1)/W S/B         between devices; S bytes, B bytes per second",
        "gather     = launch + log2(W) hop + (W - 1) S/B",
        "message between processors = 2 (W - 1) host hop               gloo's ring",
        "```",
        "",
        f"Assumed: launch {1e6 * LAUNCH:g} µs, hop {hops}, host hop {1e6 * HOST_HOP:g} µs; the slowest link of a ring "
        "has the bandwidth of the column, which it shares with nobody (one link for each GPU, or for each host with "
        f"GPUs that are connected faster); {IMAGES_PER_GPU} images per GPU and step in bfloat16, gradients in "
        "float32; C is the floor of a step by `steps.py` for a GPU that copies "
        f"{GPU.copied / 1e12:g} TB/s and multiplies {2 * GPU.multiplied['bfloat16'] / 1e12:g} TFLOP/s, divided by "
        f"{SHARE:g}; loading images costs nothing. In `whole`, the step has a batch for every GPU. A message between "
        f"the processors of {WORLDS[-1]} GPUs takes {2e3 * (WORLDS[-1] - 1) * HOST_HOP:.1f} ms by this model, which is "
        "most of what fast networks lose there.",
        "",
        f"| recipe | C | division | {' | '.join(columns)} |",
        "|---|---|---|" + "---|" * len(columns),
    ]
    for name, by_kind in content["predicted"].items():
        for kind, found in by_kind.items():
            cells = " | ".join(f"{found[column]:.0%}" for column in columns)
            lines.append(f"| {name} | {content['compute_ms'][name]:.1f} ms | {kind} | {cells} |")
    return lines


def spread(value: Mapping[str, float] | None, form: str) -> str:
    """`2.31 (2.25 to 2.40)`; a dash for what was not measured."""
    if value is None:
        return "-"
    return f"{form.format(value['median'])} ({form.format(value['low'])} to {form.format(value['high'])})"


def size(number: int) -> str:
    """`1.4 MB`."""
    for unit, of in (("MB", 1e6), ("kB", 1e3)):
        if number >= of:
            return f"{number / of:.1f} {unit}"
    return f"{number} B"


if __name__ == "__main__":
    sys.exit(main())
