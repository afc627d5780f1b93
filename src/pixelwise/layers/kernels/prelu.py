"""PReLU with one slope for all channels, whose backward pass on a processor costs as little as that of ReLU.

PyTorch's own backward pass computes the gradient of the slope for every value, one after the other, and adds them up
afterwards: a quarter of a training step of ENet on a processor (He et al., ICCV 2015, arXiv:1502.01852, equation 1, for
the function; torch 2.14 for the time). Here both gradients come from vectorised operations, that of the slope from a
few images at a time, so that what lies between stays in the processor's cache. The output and the gradient of the
features are the same, bit for bit; the gradient of the slope differs in how its sum is rounded.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

PART = 2**18
"""Values of which the gradient of the slope is computed at once, if an image has no more: they fit into a cache."""
LEAST_KEPT = 1e-3
"""From this slope on, the negative inputs are restored from the output without a loss of digits that matters."""
_KINDS = (
    (torch.float32, torch.float32),
    (torch.float64, torch.float64),
    (torch.bfloat16, torch.float32),  # as by autocast, which rounds the slope for PyTorch's own function
)


class PReLU(nn.PReLU):
    """`torch.nn.PReLU` with one slope, for features that nothing else needs: in training it writes over them.

    The features have to be a result that is not used elsewhere and that the operation before does not need for its own
    gradient: of a normalisation, a convolution or a sum. Parameters, state dict and values are those of `nn.PReLU`.
    """

    def __init__(self) -> None:
        super().__init__(num_parameters=1)

    def forward(self, input: Tensor) -> Tensor:
        """(B, ...) float to the same shape."""
        if _writes_over(input, self.weight):
            return _PReLU.apply(input, self.weight)  # type: ignore[no-any-return]
        return F.prelu(input, self.weight)


def _writes_over(features: Tensor, slope: Tensor) -> bool:
    """Whether this is a step of training on a processor, and not a graph that is recorded."""
    return (
        torch.is_grad_enabled()
        and features.requires_grad
        and not features.is_leaf
        and features.device.type == "cpu"
        and (features.dtype, slope.dtype) in _KINDS
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined]
        and type(features) is Tensor
    )


class _PReLU(torch.autograd.Function):
    """max(x, 0) + slope * min(x, 0), in place."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, slope: Tensor) -> Tensor:
        ctx.slope = slope.to(features.dtype).item()
        ctx.restores = ctx.slope >= LEAST_KEPT
        kept = features if ctx.restores else features.clone()
        F.leaky_relu_(features, ctx.slope)
        ctx.mark_dirty(features)
        ctx.save_for_backward(kept)
        ctx.shape, ctx.kind = slope.shape, slope.dtype
        return features

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None]:  # type: ignore[override]
        (kept,) = ctx.saved_tensors
        (gradient,) = gradients
        # The signs of output and input are the same where the slope is positive.
        of_features = torch.ops.aten.leaky_relu_backward(gradient, kept, ctx.slope, ctx.restores)
        if not ctx.needs_input_grad[1]:
            return of_features, None
        images = max(1, PART * len(kept) // max(1, kept.numel()))
        parts = zip(kept.split(images), gradient.split(images), strict=True)
        sums = [some.clamp_max(0).mul_(theirs).sum(dtype=ctx.kind) for some, theirs in parts]
        total = torch.stack(sums).sum()
        return of_features, (total / ctx.slope if ctx.restores else total).reshape(ctx.shape)
