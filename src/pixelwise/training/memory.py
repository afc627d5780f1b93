"""Running out of memory in a training step, explained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from pixelwise.errors import ResourceError
from pixelwise.machine.facts import peak_memory_bytes
from pixelwise.recipes.schema.recipe import Recipe


@contextlib.contextmanager
def memory_explained(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Turn "out of memory" of a training step into an error that says what to do.

    Raises:
        ResourceError: S605.
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
            f"({reason}; {peak_memory_bytes(device) / 2**30:.1f} GiB were in use at most)",
            f"start a new run with `auto_batch`, which keeps the {batch_size * accumulate} images per step by "
            "accumulating smaller batches, or with precision.dtype=bfloat16, or a smaller augment.crop",
        ) from error


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of PyTorch says that memory is exhausted, of a GPU or of the machine."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
