"""Which device to compute on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pixelwise.errors import RecipeError

if TYPE_CHECKING:
    import torch


def choose_device(name: str | torch.device | None = None) -> torch.device:
    """The device of that name; None or `auto` takes a GPU where there is one.

    Raises:
        RecipeError: R214, there is no such device here, or it cannot be used.
    """
    import torch

    if name is None or name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros((), device=device)  # names of devices that do not exist are found out only by using them
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        count = torch.cuda.device_count()
        found = ", ".join(["cpu", *(f"cuda:{index}" for index in range(count))])
        # PyTorch lists every kind of device that it was ever built for.
        unknown = "Expected one of" in str(error) or "Invalid device string" in str(error)
        reason = "there is no such kind of device" if unknown else str(error).partition("\n")[0]
        raise RecipeError(
            "R214", f"device '{name}' cannot be used: {reason}; found: {found}", "name one of these in `device`"
        ) from error
    return device
