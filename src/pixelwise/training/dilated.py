"""Workaround for the gradients of dilated bfloat16 convolutions, which PyTorch computes wrongly on a CPU.

oneDNN 3.12, the library in which PyTorch 2.14 convolves on x86 processors, reads uninitialised memory when it computes
the weight gradient of a dilated convolution (vertically dilated, stride 1) in bfloat16 and channels-last, unless
channels and groups fill its blocks of 16 (kernel `jit_bf16:avx512_core_bf16`, `backward_weights`). That gradient is
unrelated to the correct one, differs in every run and is sometimes NaN. The float32 kernels are correct and, for
depthwise convolutions, the usual case, no slower. `docs/performance.md` has the measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

BLOCK = 16
"""Number of channels that oneDNN's bfloat16 kernels process at once."""


class DilatedInFloat32(TorchFunctionMode):
    """Context that computes in float32 the convolutions whose bfloat16 gradient is wrong; their results are bfloat16.

    Enter it inside `torch.autocast("cpu", dtype=torch.bfloat16)`. It changes no other function.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Replace `torch.conv2d`; PyTorch calls this for each of its functions inside the context."""
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
    """Replacement for `torch.conv2d`, with the same parameters."""
    if not is_wrong_in_bfloat16(weight, dilation, groups):
        return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)  # type: ignore[arg-type]
    with torch.autocast("cpu", enabled=False):
        shift = None if bias is None else bias.float()
        result = torch.conv2d(input.float(), weight.float(), shift, stride, padding, dilation, groups)  # type: ignore[arg-type]
    return result.to(torch.bfloat16)


def is_wrong_in_bfloat16(weight: Tensor, dilation: int | Sequence[int], groups: int) -> bool:
    """Whether the bfloat16 gradient of a convolution may be wrong.

    Args:
        weight: Weights (C', C / groups, h, w).
        dilation: One value for both directions, or (vertical, horizontal).
        groups: Number of channel groups.
    """
    dilated = max(dilation) > 1 if isinstance(dilation, Sequence) else dilation > 1
    fills_blocks = groups == 1 and weight.shape[0] % BLOCK == 0 and weight.shape[1] % BLOCK == 0
    return dilated and not fills_blocks
