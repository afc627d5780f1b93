"""Choice of the fastest number format and memory layout for a network on a device, by timing its training.

No rule replaces the timing: channels-last convolutions are faster on processors with AVX-512 and slower on some
without it, and bfloat16 pays off for dense convolutions but not for depthwise ones.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import torch

from pixelwise.machine.facts import computes_bfloat16
from pixelwise.models import build_model
from pixelwise.recipes.schema.recipe import Precision, Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.training.autotuning.batch_size import random_batch
from pixelwise.training.memory import memory_explained
from pixelwise.training.optimization.freezing import set_training_mode
from pixelwise.training.state import begin_state
from pixelwise.training.step import add_gradients

ROUNDS = 5
"""Timed rounds per format, interleaved."""
BUDGET_SECONDS = 20.0
"""Time after which no further round begins."""
MARGIN = 1.03
"""Speed-up that a format needs over an earlier one to be preferred; smaller differences may be noise."""


class FormatChoice(NamedTuple):
    """The chosen number format and memory layout.

    Attributes:
        recipe: The recipe with the chosen `precision.dtype` and `precision.channels_last`.
        milliseconds: Format name -> median time of a forward and backward pass.
        message: The choice and its reason, in one sentence.
    """

    recipe: Recipe
    milliseconds: dict[str, float]
    message: str


def choose_format(
    recipe: Recipe,
    largest_image: Size,
    device: torch.device,
    *,
    share: float | None = None,
    measure: Callable[[Sequence[Precision]], list[float]] | None = None,
) -> FormatChoice:
    """Choose number format and layout for a recipe whose `precision.dtype` is `auto` or planned.

    A separate network is timed, so the run's weights, statistics and random generators do not change.

    Args:
        recipe: The resolved recipe with its classes.
        largest_image: (height, width) of the largest image, used if the recipe neither resizes nor crops.
        device: Device to train on.
        share: Share of the fastest format's time that one with fewer digits, which is otherwise only suggested, may
            take to be chosen; None never chooses it.
        measure: Returns the seconds of a forward and backward pass in each format; None for a real measurement.

    Raises:
        ResourceError: S605, a step does not fit into memory.
    """
    formats = candidates(recipe.precision, device)
    timed = [*formats, *only_suggested(recipe.precision, device)]
    size = recipe.augment.crop or recipe.augment.resize or largest_image
    seconds = measure(timed) if measure is not None else time_formats(recipe, timed, size, device)
    best = fastest(seconds[: len(formats)])
    for index in range(len(formats), len(timed)):
        if share is not None and seconds[index] < share * seconds[best]:
            best = index
    milliseconds = {name(one): 1000 * value for one, value in zip(timed, seconds, strict=True)}
    others = ", ".join(f"{key} {value:.0f}" for key, value in milliseconds.items())
    message = (
        f"precision: {name(timed[best])}; milliseconds per forward and backward pass of "
        f"{recipe.sampling.batch_size} x {size[0]}x{size[1]} on {device}: {others}"
    )
    for precision, value in zip(timed[len(formats) :], seconds[len(formats) :], strict=True):
        if value * MARGIN < seconds[best]:
            message += (
                f"; precision.dtype={precision.dtype} precision.channels_last={str(precision.channels_last).lower()} "
                f"would take {value / seconds[best]:.0%} of the time, with about 3 digits of precision in the network"
            )
    return FormatChoice(msgspec.structs.replace(recipe, precision=timed[best]), milliseconds, message)


def candidates(precision: Precision, device: torch.device) -> list[Precision]:
    """Formats that may be chosen, the most common first.

    bfloat16 on a CPU is not among them: CPUs train in float32 unless the user or a plan decides for another format.
    """
    kinds = ["float32"]
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        kinds.append("bfloat16")
    return [
        msgspec.structs.replace(precision, dtype=kind, channels_last=layout)
        for kind in kinds
        for layout in (False, True)
    ]


def only_suggested(precision: Precision, device: torch.device) -> list[Precision]:
    """Formats that are timed to tell the user what they would save, and chosen only where that was allowed."""
    if device.type != "cpu" or not computes_bfloat16():
        return []
    return [msgspec.structs.replace(precision, dtype="bfloat16", channels_last=True)]


def name(precision: Precision) -> str:
    """`float32 contiguous`, `bfloat16 channels-last`, ..."""
    return f"{precision.dtype} {'channels-last' if precision.channels_last else 'contiguous'}"


def fastest(seconds: Sequence[float]) -> int:
    """Index of the fastest format; the earlier of two if their difference is within `MARGIN`."""
    best = 0
    for index, value in enumerate(seconds):
        if value * MARGIN < seconds[best]:
            best = index
    return best


def time_formats(recipe: Recipe, formats: Sequence[Precision], size: Size, device: torch.device) -> list[float]:
    """Median seconds of a forward and backward pass in each format, interleaved, after one uncounted warm-up pass each.

    Args:
        recipe: Recipe of the network, loss and batch size.
        formats: Formats to time.
        size: Size of the random images.
        device: Device to train on.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        state = begin_state(build_model(recipe), recipe, device)
        model = state.model
        set_training_mode(model, frozen=recipe.initialize.keeps_encoder)
        images, channels = recipe.sampling.batch_size, model.preprocessing.in_channels
        batch = random_batch(images, size, model.num_classes, channels, multilabel=model.multilabel)
        weights = torch.ones(model.num_classes, device=device)
        taken: list[list[float]] = [[] for _ in formats]
        begin = time.perf_counter()
        for number in range(ROUNDS + 1):
            for precision, seconds in zip(formats, taken, strict=True):
                layout = torch.channels_last if precision.channels_last else torch.contiguous_format
                model = model.to(memory_format=layout)
                trial = msgspec.structs.replace(recipe, precision=precision)
                model.zero_grad(set_to_none=True)
                start = _now(device)
                with memory_explained(recipe, device):
                    add_gradients(trial, state, model.training_outputs, [batch], weights)
                if number > 0:
                    seconds.append(_now(device) - start)
            if number > 0 and time.perf_counter() - begin > BUDGET_SECONDS:
                break
    return [statistics.median(seconds) for seconds in taken]


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
