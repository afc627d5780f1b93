"""What processes send each other in a training step: counted where they send it, and its time on a network, predicted.

Counted: two processes take steps of a published recipe with random images; every call of `torch.distributed` is
written down with the size of what a process gives, and the part of the step that it belongs to. Sizes and numbers do
not depend on the images, nor, for the terms of these recipes, on their size.

Predicted, for W processes, a message of S bytes, a bandwidth of B bytes per second and a latency of `hop`:

- sums on the devices (NCCL): launch + 2 log2(W) hop + 2 (W - 1)/W S/B;
- gathers on the devices: launch + log2(W) hop + (W - 1) S/B;
- messages between the processors (gloo, in a ring): 2 (W - 1) host hop.

Gradients are sent while the backward pass, two thirds of the computation, still runs; a step waits for what is left,
at least for the last of the n buckets: exposed = max(G - 2/3 C (n - 1)/n, G/n), where C is the time of the computation
and G that of all buckets. Everything else is waited for. Efficiency = C / (C + exposed + others).
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.distributed.distributed_c10d as c10d

from pixelwise.losses.pixels import labelled_classes
from pixelwise.losses.segmentation import needs_classes
from pixelwise.models import build_model
from pixelwise.ranks import Ranks
from pixelwise.ranks.adding import AddedGradients
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.training.batches import Batch
from pixelwise.training.signals import StopRequest
from pixelwise.training.state import begin_state
from pixelwise.training.step import train_step
from pixelwise.training.together.agreement import Loaded, agree
from pixelwise.training.together.division import Division

GRADIENTS, NORMALISATION, LOSSES, AGREEMENT = "gradients", "normalisation", "losses", "agreement"
PARTS = {
    "adding.py": GRADIENTS,
    "shared_statistics.py": NORMALISATION,
    "agreement.py": AGREEMENT,
    "step.py": LOSSES,
    "losses": LOSSES,
}
"""File or folder that asks for a message -> the part of a step that it belongs to."""
SUM, GATHER = "all_reduce", "all_gather"
CROP = (64, 96)
"""Size of the random images, (height, width)."""
KINDS = {
    "whole": ("sampling.batch_size=2", "sampling.accumulate=2"),
    "split": ("sampling.batch_size=4", "sampling.accumulate=1"),
}
"""How two processes divide a step -> the overrides that lead to it."""
CLASSES = [f"class {number}" for number in range(11)]
BACKWARD = 2 / 3
LAUNCH = 10e-6
HOST_HOP = 30e-6


class Message(NamedTuple):
    """What a process gives to the others at once.

    Attributes:
        part: Part of the step.
        operation: `all_reduce` or `all_gather`.
        host: Whether it is sent between the processors; others are sent between the devices.
        size: Its bytes.
    """

    part: str
    operation: str
    host: bool
    size: int


class Network(NamedTuple):
    """A network between the devices.

    Attributes:
        gigabits: Gigabits per second and direction.
        hop: Seconds from one process to the next.
    """

    gigabits: float
    hop: float

    @property
    def bandwidth(self) -> float:
        """Bytes per second."""
        return self.gigabits * 1e9 / 8


NETWORKS = (Network(10, 30e-6), Network(100, 5e-6), Network(400, 3e-6))


@contextlib.contextmanager
def observed() -> Iterator[list[Message]]:
    """Context in which the messages of this process are written down."""
    found: list[Message] = []

    def watching(name: str, original: Any) -> Any:
        def watched(*given: Any, **named: Any) -> Any:
            own = given[1] if name == GATHER else given[0]
            found.append(Message(_part(), name, named.get("group") is not None, own.numel() * own.element_size()))
            return original(*given, **named)

        return watched

    originals = {name: getattr(c10d, name) for name in (SUM, GATHER, "broadcast", "reduce", "all_gather_into_tensor")}
    try:
        for name, original in originals.items():
            for module in (dist, c10d):
                setattr(module, name, watching(name, original))
        yield found
    finally:
        for name, original in originals.items():
            for module in (dist, c10d):
                setattr(module, name, original)


def _part() -> str:
    """The part of the step whose code asks for a message."""
    frame = sys._getframe(2)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        for name in (path.name, path.parent.name):
            if name in PARTS and "pixelwise" in path.parts:
                return PARTS[name]
        frame = frame.f_back  # type: ignore[assignment]
    raise RuntimeError("a message that belongs to no part of a step")


def count(name: str, kind: str, ranks: Ranks) -> list[Message]:
    """The messages of one step of a recipe; called by two processes at once.

    Args:
        name: Name of the recipe.
        kind: `whole` or `split`.
        ranks: The processes.
    """
    recipe = counted_recipe(name, "precision.dtype=float32", *KINDS[kind])
    division = Division.of(recipe, ranks)
    torch.manual_seed(0)
    state = begin_state(build_model(recipe), recipe, torch.device("cpu"))
    state.share(ranks)
    # As between hosts: the processes of one add up in memory that they share.
    network = AddedGradients(state.model, state.model.head_logits, ranks, in_memory=False)
    own = recipe.sampling.batch_size if kind == "whole" else recipe.sampling.batch_size // ranks.world
    total = None if kind == "whole" else recipe.sampling.batch_size
    loaded = Loaded([random_batch(recipe, state.model.num_classes, own, total)])
    weights = torch.ones(state.model.num_classes)

    def step() -> None:
        agreed = agree(ranks, StopRequest(), loaded, recipe, late=False)
        train_step(recipe, state, network, loaded.batches, weights, division=division, labelled=agreed.labelled)
        state.progress.step += 1

    step()  # after it, `DistributedDataParallel` arranges the gradients in the order in which they were ready
    with observed() as messages:
        step()
    return messages


def counted_recipe(name: str, *changes: str) -> Recipe:
    """A changed recipe; those for any data get as many classes as CamVid has."""
    recipe = apply_overrides(find_recipe(name), changes)
    return apply_overrides(recipe, [f"data.classes={CLASSES}"]) if recipe.data.dataset == "auto" else recipe


def random_batch(recipe: Recipe, classes: int, images: int, total: int | None = None) -> Batch:
    """Images of noise with random labels; of a part of a batch, `total` is the number of images of the whole one."""
    labels = torch.randint(0, classes, (images, *CROP), dtype=torch.uint8)
    pixels = torch.randint(0, 256, (images, *CROP, recipe.model.preprocessing.in_channels), dtype=torch.uint8)
    names = [str(number) for number in range(images)]
    classes = labelled_classes(labels) if needs_classes(recipe.loss) else None
    return Batch(pixels, labels, None, names, classes, total=total)


def totals(messages: Sequence[Message]) -> dict[str, dict[str, int]]:
    """Part of the step -> number of its messages between devices and between processors, and their bytes."""
    made = {part: Counter(devices=0, processors=0, bytes=0) for part in PARTS.values()}
    for message in messages:
        made[message.part]["processors" if message.host else "devices"] += 1
        made[message.part]["bytes"] += message.size
    return {part: dict(counter) for part, counter in made.items()}


def seconds_of(message: Message, world: int, network: Network) -> float:
    """Predicted time of a message."""
    if message.host:
        return 2 * (world - 1) * HOST_HOP
    hops = math.log2(world) * network.hop
    if message.operation == GATHER and message.part != GRADIENTS:
        return LAUNCH + hops + (world - 1) * message.size / network.bandwidth
    # On a processor, gradients are gathered, so that they are added in order; on GPUs they are summed.
    return LAUNCH + 2 * hops + 2 * (world - 1) / world * message.size / network.bandwidth


def efficiency(messages: Sequence[Message], compute: float, world: int, network: Network) -> float:
    """Predicted share of a step in which a process computes.

    Args:
        messages: The messages of a step.
        compute: Seconds of its computation.
        world: Number of processes.
        network: The network between them.
    """
    gradients = [seconds_of(one, world, network) for one in messages if one.part == GRADIENTS]
    others = sum(seconds_of(one, world, network) for one in messages if one.part != GRADIENTS)
    number, total = max(1, len(gradients)), sum(gradients)
    exposed = max(total - BACKWARD * compute * (number - 1) / number, total / number)
    return compute / (compute + exposed + others)


def predicted(
    messages: Mapping[str, Sequence[Message]], compute: float, worlds: Sequence[int]
) -> dict[str, dict[str, float]]:
    """Kind -> "W GPUs, G Gb/s" -> efficiency."""
    return {
        kind: {
            f"{world} GPUs, {network.gigabits:g} Gb/s": efficiency(sent, compute, world, network)
            for world in worlds
            for network in NETWORKS
        }
        for kind, sent in messages.items()
    }
