"""Max pooling that returns the indices of the maxima, and deterministic unpooling.

Overlapping windows may share a maximum; `torch.nn.functional.max_unpool2d` then writes one position
several times, and with more than one thread the order of the writes, and so the result, is random.
Here the last window in raster order always wins, as in a sequential loop: forward and backward pass
equal `max_unpool2d` on one thread, bit for bit, with any number of threads.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]


def max_pool_overlapping(features: Tensor) -> tuple[Tensor, Tensor]:
    """Maxima of 3x3 windows, stride 2, padding 1.

    Args:
        features: (B, C, H, W), floating point.

    Returns:
        The maxima and their indices, `row * W + column` (int64), both (B, C, ceil(H/2), ceil(W/2)).
    """
    return F.max_pool2d(features, kernel_size=3, stride=2, padding=1, return_indices=True)  # type: ignore[return-value]


def max_pool_separate(features: Tensor) -> tuple[Tensor, Tensor]:
    """Maxima of 2x2 windows, stride 2; an odd last row or column belongs to no window.

    Args:
        features: (B, C, H, W), floating point, at least 2x2.

    Returns:
        The maxima and their indices, `row * W + column` (int64), both (B, C, H // 2, W // 2).
    """
    return F.max_pool2d(features, kernel_size=2, stride=2, return_indices=True)  # type: ignore[return-value]


def max_unpool_overlapping(features: Tensor, indices: Tensor, size: Size) -> Tensor:
    """Write each value to the position where `max_pool_overlapping` found its maximum, and zeros elsewhere.

    Where windows share a maximum, the last one in raster order wins. As in `max_unpool2d`, every window
    gets the gradient of its position, even if it lost: the published networks were trained like this.

    Args:
        features: (B, C, h, w) float.
        indices: int64 (B, C, h, w) from `max_pool_overlapping` on a map of `size`.
        size: Height and width of the result.

    Returns:
        (B, C, height, width), dtype of `features`.
    """
    height, width = size
    # Losers are written to an extra position at the end, which is cut off: no position that is kept
    # is written twice.
    places = torch.where(_loses(indices), height * width, indices)
    return _Unpool.apply(features, indices, places, height, width)


def max_unpool_separate(features: Tensor, indices: Tensor, size: Size) -> Tensor:
    """Write each value to the position where `max_pool_separate` found its maximum, and zeros elsewhere.

    Args:
        features: (B, C, h, w) float.
        indices: int64 (B, C, h, w) from `max_pool_separate` on a map of `size`.
        size: Height and width of the result.

    Returns:
        (B, C, height, width), dtype of `features`.
    """
    height, width = size
    places = features.new_zeros(features.shape[0], features.shape[1], height * width)
    return places.scatter(2, indices.flatten(2), features.flatten(2)).unflatten(2, (height, width))


def _loses(indices: Tensor) -> Tensor:
    """Bool (B, C, h, w): whether a window shares its maximum with a later one.

    3x3 windows at stride 2 overlap only with their eight neighbours, four of which come later.
    """
    h, w = indices.shape[-2:]
    # A border of -1 (never an index): one column on either side, one row below.
    padded = F.pad(indices, (1, 1, 0, 1), value=-1)
    right = padded[..., :h, 2:]
    below_left = padded[..., 1:, :w]
    below = padded[..., 1:, 1 : w + 1]
    below_right = padded[..., 1:, 2:]
    return (indices == right) | (indices == below_left) | (indices == below) | (indices == below_right)


class _Unpool(torch.autograd.Function):
    """Scatter to `places` in the forward pass, gather from `indices` in the backward pass."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, indices: Tensor, places: Tensor, height: int, width: int) -> Tensor:
        """Write the values to their positions; the extra position at the end is cut off."""
        ctx.save_for_backward(indices)
        B, C = features.shape[:2]
        unpooled = features.new_zeros(B, C, height * width + 1)
        unpooled.scatter_(2, places.flatten(2), features.flatten(2))
        # Contiguous, because the gap that the cut leaves after each channel slows down later layers.
        return unpooled[..., :-1].contiguous().view(B, C, height, width)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        """Read the gradient of every window at its position."""
        (indices,) = ctx.saved_tensors
        gradient = gradients[0].flatten(2).gather(2, indices.flatten(2)).view(indices.shape)
        return gradient, None, None, None, None
