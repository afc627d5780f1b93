"""Computing in float32 inside networks that otherwise compute in less, for sums that exceed the range of float16."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch
from torch import Tensor


def at_least_float32(features: Tensor) -> Tensor:
    """`features`, or their values in float32 if they are in float16 or bfloat16."""
    return features.float() if features.dtype in (torch.float16, torch.bfloat16) else features


def at_least_float32_type(features: Tensor) -> torch.dtype:
    """The data type of `features`, or float32 if it is float16 or bfloat16."""
    return torch.float32 if features.dtype in (torch.float16, torch.bfloat16) else features.dtype


def without_autocast(features: Tensor) -> AbstractContextManager[object]:
    """Context without autocast on the device of `features`, which would cast operands of products back.

    Where there is no autocast, it does nothing, to keep exports plain.
    """
    device = features.device.type
    if device == "meta" or not torch.is_autocast_enabled(device):
        return contextlib.nullcontext()
    return torch.autocast(device, enabled=False)
