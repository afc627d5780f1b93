"""Choice of the largest batch size that fits into memory, for a constant number of images per step.

`sampling.batch_size` becomes a divisor of the recipe's images per step, and `sampling.accumulate` the quotient. Only
batch normalisation is affected: its statistics are those of the smaller batch.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import torch
from torch import Tensor

from pixelwise.errors import ResourceError
from pixelwise.losses.pixels import labelled_classes
from pixelwise.machine.memory import available_memory
from pixelwise.models import build_model
from pixelwise.models.quantization.aware import quantization_aware
from pixelwise.recipes.overrides import with_parts
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.training.batches import Batch
from pixelwise.training.memory import is_out_of_memory
from pixelwise.training.state import begin_state
from pixelwise.training.step import train_step

MEASURED = (2, 3)
"""Batch sizes measured on the CPU. A size of 1 would fail: batch normalisation of a pooled map needs two images."""
HEADROOM = 1.5
"""Memory of a step relative to the tensors that the forward pass keeps for the backward pass: a generous guess."""


class AutoBatch(NamedTuple):
    """The chosen batch size.

    Attributes:
        recipe: The recipe, with `sampling.batch_size` and `sampling.accumulate` changed if necessary.
        message: The choice and its reason, in one sentence.
    """

    recipe: Recipe
    message: str


def auto_batch(
    recipe: Recipe,
    largest_image: Size,
    device: torch.device,
    *,
    step: Callable[[int], int] | None = None,
    available: Callable[[], int] = available_memory,
) -> AutoBatch:
    """Choose the largest batch size that fits, out of the divisors of the images per step.

    On a GPU, steps are tried from the largest batch down. On the CPU, where the system would kill the process instead
    of refusing memory, two small steps are measured and the memory of larger ones is extrapolated.

    Args:
        recipe: The resolved recipe with its classes.
        largest_image: (height, width) of the largest image, used if the recipe neither resizes nor crops.
        device: Device to train on.
        step: Takes a training step of the given batch size and returns the bytes it needs; None for a real step.
        available: Returns the number of bytes available on the CPU.

    Raises:
        ResourceError: S605, not even the smallest batch fits.
        RecipeError: R212, the smallest batch fits, but batch normalisation cannot train on it.
    """
    images = recipe.sampling.batch_size * recipe.sampling.accumulate
    if step is None:
        step = trial(recipe, recipe.augment.crop or recipe.augment.resize or largest_image, device)
    if device.type == "cuda":
        chosen, reason = largest_that_runs(images, step), "tried"
    else:
        chosen, reason = largest_within(images, step, available())
    if chosen is None:
        raise ResourceError(
            "S605",
            f"not even the smallest batch fits into the memory of {device} ({reason})",
            "use a smaller augment.crop, precision.dtype=bfloat16 or a smaller network",
        )
    if chosen == recipe.sampling.batch_size:
        return AutoBatch(recipe, f"the recipe's batch of {chosen} fits ({reason})")
    accumulate = images // chosen
    sampling = msgspec.structs.replace(recipe.sampling, batch_size=chosen, accumulate=accumulate)
    message = (
        f"batches of {chosen} image{'s' if chosen > 1 else ''}, {accumulate} accumulated: still {images} images per "
        f"step ({reason}); batch normalisation sees {chosen} of them at a time"
    )
    return AutoBatch(with_parts(recipe, sampling=sampling), message)


def largest_that_runs(images: int, step: Callable[[int], int]) -> int | None:
    """The largest divisor of `images` for which `step` does not run out of memory, or None."""
    for batch_size in divisors(images):
        try:
            step(batch_size)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        else:
            return batch_size
    return None


def largest_within(images: int, step: Callable[[int], int], available: int) -> tuple[int | None, str]:
    """The largest divisor of `images` whose step needs at most `available` bytes, or None; and the reason.

    The need is extrapolated from two small steps.
    """
    fewer, more = MEASURED
    small, large = step(fewer), step(more)
    per_image = max(0, (large - small) // (more - fewer))
    fixed = max(0, small - fewer * per_image)
    reason = f"{per_image / 2**20:.0f} MiB per image, {available / 2**20:.0f} MiB free"
    for batch_size in divisors(images):
        if fixed + batch_size * per_image <= available:
            return batch_size, reason
    return None, reason


def divisors(number: int) -> list[int]:
    """All divisors, in descending order."""
    return [divisor for divisor in range(number, 0, -1) if number % divisor == 0]


def trial(recipe: Recipe, size: Size, device: torch.device) -> Callable[[int], int]:
    """A function that trains a new network on a batch of random images and returns the bytes it needs.

    Args:
        recipe: Recipe of the network, loss, optimizer and precision.
        size: Size of the random images.
        device: Device to train on.
    """

    def step(batch_size: int) -> int:
        if device.type == "cuda":
            gc.collect()  # a trial that ran out of memory leaves cycles behind
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        state = begin_state(quantization_aware(build_model(recipe), recipe.quantization), recipe, device)
        model = state.model
        channels = model.preprocessing.in_channels
        batch = random_batch(batch_size, size, model.num_classes, channels, multilabel=model.multilabel)
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        weights = torch.ones(model.num_classes, device=device)
        # Twice: the optimizer allocates its moments in the first step and holds them in every later one.
        for _ in range(2):
            kept.clear()
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                train_step(recipe, state, model.training_outputs, [batch], weights)
        if device.type == "cuda":
            return torch.cuda.max_memory_allocated(device)
        return round(HEADROOM * sum(kept.values()))

    return step


def random_batch(
    batch_size: int, size: Size, num_classes: int, channels: int = 3, *, multilabel: bool = False
) -> Batch:
    """Random uint8 images (B, H, W, C) with labels (B, H, W) of all classes: uint8 ids, or int32 bit fields."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch_size, *size, channels), generator=random, dtype=torch.uint8)
    values, kind = (1 << num_classes, torch.int32) if multilabel else (num_classes, torch.uint8)
    labels = torch.randint(0, values, (batch_size, *size), generator=random, dtype=kind)
    classes = None if multilabel else labelled_classes(labels)
    return Batch(images, labels, None, ["random"] * batch_size, classes)
