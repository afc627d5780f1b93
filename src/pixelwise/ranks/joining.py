"""Joining the other processes of a launcher: `torchrun`, or any that sets the same variables."""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pixelwise.errors import RecipeError
from pixelwise.machine.launched import VARIABLES, local_rank, local_world, world_size
from pixelwise.ranks.alone import ALONE, Ranks

if TYPE_CHECKING:
    import torch


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """The processes that a launcher started, once all of them are here; `ALONE` if there are no others.

    Args:
        device: Device of this process.

    Raises:
        RecipeError: R238, a variable that the launcher should have set is missing.
    """
    if world_size() == 1:
        yield ALONE
        return
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        raise RecipeError(
            "R238",
            f"WORLD_SIZE is {world_size()}, but {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
            "start the processes with torchrun, or unset WORLD_SIZE to train with one process",
        )
    import torch.distributed as dist

    from pixelwise.ranks.group import TIMEOUT, Group

    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=TIMEOUT)
        # Only at the end: the score after a training is that of all processes, too.
        atexit.register(_leave)
    yield Group(local_rank(), local_world())


def _leave() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()
