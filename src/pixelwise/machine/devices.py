"""Choosing the device to compute on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pixelwise.errors import RecipeError
from pixelwise.machine.launched import local_rank, local_world, world_size

if TYPE_CHECKING:
    import torch


def choose_device(name: str | torch.device | None = None) -> torch.device:
    """The device of this name; None or `auto` chooses a GPU if there is one, otherwise the CPU.

    Of several processes on a host, started together, each gets the GPU of its number.

    Raises:
        RecipeError: R214, the device does not exist on this machine or cannot be used.
    """
    import torch

    if name is None or name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if local_world() == 1 or name == "cpu":
            return torch.device(name)
    if local_world() > 1 and str(name).partition(":")[0] == "cuda":
        name = f"cuda:{local_rank()}"
    try:
        device = torch.device(name)
        torch.zeros((), device=device)  # only using a device shows whether it exists
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        count = torch.cuda.device_count()
        found = ", ".join(["cpu", *(f"cuda:{index}" for index in range(count))])
        # PyTorch's own message lists every kind of device that it could be built for.
        unknown = "Expected one of" in str(error) or "Invalid device string" in str(error)
        reason = "there is no such kind of device" if unknown else str(error).partition("\n")[0]
        if isinstance(error, (NotImplementedError, ImportError)):
            # PyTorch explains at length what it was not built for, or imports a module that does not exist.
            reason = "there is no such device here, or PyTorch was built without support for it"
        raise RecipeError(
            "R214", f"device '{name}' cannot be used: {reason}; found: {found}", "set `device` to one of these"
        ) from error
    return device


def recorded_name(device: torch.device) -> str:
    """Name under which a run records its device: of several processes, each has a GPU of its own."""
    return str(device) if world_size() == 1 else device.type
