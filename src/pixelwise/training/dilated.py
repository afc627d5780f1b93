"""Dilated convolutions in bfloat16 on a CPU, whose gradient PyTorch gets wrong.

oneDNN 3.12, the library in which PyTorch 2.14 convolves on x86 processors, reads memory that nobody has written when it
computes the gradient of the weights of a convolution that is dilated (vertically, stride 1) in bfloat16 and channels
last, unless channels and groups fill its blocks of 16 (kernel `jit_bf16:avx512_core_bf16`, `backward_weights`). The
gradient is then unrelated to the right one, different in every run, now and then NaN. In float32 the kernels are
right, and for depthwise convolutions, the usual case, no slower. `docs/performance.md` has the measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

BLOCK = 16
"""Channels that oneDNN's kernels for bfloat16 take at once."""


class DilatedInFloat32(TorchFunctionMode):
    """Inside this context, `autocast` leaves in float32 what the CPU gets wrong in bfloat16; the result is bfloat16.

    It belongs inside a CPU's `torch.autocast(..., dtype=torch.bfloat16)`, and changes nothing else.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Every function of PyTorch that is called, with its arguments."""
        if func is torch.conv2d:
            return _convolved(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _convolved(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | str | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """`torch.conv2d`, whose parameters these are."""
    if not is_wrong_in_bfloat16(weight, dilation, groups):
        return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)  # type: ignore[arg-type]
    with torch.autocast("cpu", enabled=False):
        shift = None if bias is None else bias.float()
        result = torch.conv2d(input.float(), weight.float(), shift, stride, padding, dilation, groups)  # type: ignore[arg-type]
    return result.to(torch.bfloat16)


def is_wrong_in_bfloat16(weight: Tensor, dilation: int | Sequence[int], groups: int) -> bool:
    """Whether a convolution may be one of those whose gradient is wrong.

    Args:
        weight: (C', C / groups, h, w).
        dilation: One number for both directions, or vertical and horizontal.
        groups: Of the channels.
    """
    dilated = max(dilation) > 1 if isinstance(dilation, Sequence) else dilation > 1
    fills_blocks = groups == 1 and weight.shape[0] % BLOCK == 0 and weight.shape[1] % BLOCK == 0
    return dilated and not fills_blocks
