"""Inspection of weights before they are used: finite, possible and plausible. Every loader asks this module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from pixelwise.errors import CheckpointError
from pixelwise.observer import Warn
from pixelwise.storage.names import counted, some

SHOWN = 3
"""Maximum number of tensors that a message names."""
LARGEST = torch.finfo(torch.float32).max
"""Largest number that a network computes with; 64-bit numbers above it would become infinite."""
LARGE_WEIGHT = 1e4
"""Magnitude above which a weight of two or more dimensions is not the result of any training."""
LARGE_VALUE = 1e9
"""Magnitude above which any other value (a shift, a statistic) is not."""
SMALL_WEIGHT = 1e-20
"""Magnitude below which a whole tensor has no effect."""
VARIANCES = ("running_var", "moving_variance")
"""Suffixes of variances, which are not negative."""


class Extent(NamedTuple):
    """Smallest and largest value of a tensor; both are NaN if it contains one."""

    least: float
    most: float


def require_sound(
    tensors: Mapping[str, Tensor], where: str, *, initial: Mapping[str, Tensor] | None = None
) -> tuple[str, ...]:
    """Inspect the values of weights, in one pass over each tensor.

    Args:
        tensors: Named tensors, of which only the floating-point ones are inspected.
        where: The file or folder that holds them, for the messages.
        initial: The network's own tensors before loading. Where one of these is infinite, as in an observer of
            ranges that has seen nothing, an infinite value is accepted.

    Returns:
        Remarks about values that are possible but implausible (W480), each naming the tensors.

    Raises:
        CheckpointError: K480, a value is NaN or infinite (or too large for 32 bits); K481, a variance is negative.
    """
    infinite: list[str] = []
    negative: list[str] = []
    doubtful: dict[str, list[str]] = {}
    for key, tensor in tensors.items():
        extent = extent_of(tensor)
        if extent is None:
            continue
        if not (extent.least >= -LARGEST and extent.most <= LARGEST):
            if not _began_infinite(key, initial):
                infinite.append(f"{key} ({_unusable_values(tensor)})")
        elif key.endswith(VARIANCES) and extent.least < 0:
            negative.append(f"{key} (down to {extent.least:.3g})")
        elif doubt := _doubt(key, tensor, extent):
            doubtful.setdefault(doubt, []).append(key)
    if infinite:
        raise CheckpointError(
            "K480",
            f"{where}: {counted(len(infinite), 'tensor')} with values that are no numbers: {some(infinite, SHOWN)}; "
            "expected finite values",
            "use a checkpoint from before the training diverged; the network would give the same class everywhere",
        )
    if negative:
        raise CheckpointError(
            "K481",
            f"{where}: {counted(len(negative), 'variance')} below zero: {some(negative, SHOWN)}; expected values from "
            "0 on",
            "the tensors were exchanged or damaged when the file was written; write it again from the original network",
        )
    return tuple(f"{counted(len(keys), 'tensor')} {doubt}: {some(keys, SHOWN)}" for doubt, keys in doubtful.items())


def warn_of(remarks: tuple[str, ...], where: str, warn: Warn | None) -> None:
    """Report the remarks of `require_sound` as W480."""
    if warn is not None:
        for remark in remarks:
            warn("W480", f"{where}: {remark}")


def extent_of(tensor: Tensor) -> Extent | None:
    """Smallest and largest value of a floating-point tensor; None for others, and for tensors without values."""
    if not tensor.is_floating_point() or not tensor.numel() or tensor.is_meta:
        return None
    values = tensor.detach()
    if values.dtype not in (torch.float32, torch.float64):
        values = values.float()
    least, most = torch.aminmax(values)
    return Extent(least.item(), most.item())


def _doubt(key: str, tensor: Tensor, extent: Extent) -> str | None:
    """The reason why the values of a tensor are implausible, continuing "N tensors ..."; None if they are not."""
    largest = max(abs(extent.least), abs(extent.most))
    matrix = tensor.ndim >= 2 and tensor.numel() > 1
    if key.endswith(VARIANCES) and largest == 0:
        return "of variances all zero, as no training leaves them"
    if largest > (LARGE_WEIGHT if matrix else LARGE_VALUE):
        return f"with values of an unusual magnitude, up to {_power(largest)}"
    if not matrix:
        return None
    if largest == 0:
        return "of zeros only"
    if largest < SMALL_WEIGHT:
        return "with values too small to have an effect"
    return "with one and the same value everywhere" if extent.least == extent.most else None


def _power(value: float) -> str:
    return f"{value:.0e}".replace("e+0", "e").replace("e+", "e")


def _began_infinite(key: str, initial: Mapping[str, Tensor] | None) -> bool:
    own = None if initial is None else initial.get(key)
    return own is not None and own.is_floating_point() and not own.is_meta and bool(own.isinf().any())


def _unusable_values(tensor: Tensor) -> str:
    counts = {
        "NaN": int(tensor.isnan().sum()),
        "infinite": int(tensor.isinf().sum()),
        "beyond 32-bit floating point": int((tensor.isfinite() & (tensor.abs() > LARGEST)).sum())
        if tensor.dtype == torch.float64
        else 0,
    }
    return ", ".join(f"{count} of {tensor.numel()} {what}" for what, count in counts.items() if count)
