"""Error message for training steps that run out of memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from pixelwise.errors import ResourceError
from pixelwise.machine.facts import peak_memory_bytes
from pixelwise.recipes.schema.recipe import Recipe


@contextlib.contextmanager
def memory_explained(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Turn an out-of-memory error of a training step into one that says what to do.

    Raises:
        ResourceError: S605, the step does not fit into memory.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0].partition(". ")[0]
        batch_size, accumulate = recipe.sampling.batch_size, recipe.sampling.accumulate
        raise ResourceError(
            "S605",
            f"a training step with sampling.batch_size={batch_size} does not fit into the memory of {device} "
            f"({reason}; peak memory {peak_memory_bytes(device) / 2**30:.1f} GiB)",
            f"start a new run with `auto_batch`, which keeps {batch_size * accumulate} images per step by "
            "accumulating smaller batches, or with precision.dtype=bfloat16 or a smaller augment.crop",
        ) from error


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether PyTorch's error says that the memory of the GPU or the machine is exhausted."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
