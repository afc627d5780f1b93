"""Max pooling that returns the indices of the maxima, and deterministic unpooling.

Overlapping windows may share a maximum; `torch.nn.functional.max_unpool2d` then writes one position
several times, and with more than one thread the order of the writes, and so the result, is random.
Here the last window in raster order always wins, as in a sequential loop: forward and backward pass
equal `max_unpool2d` on one thread, bit for bit, with any number of threads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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
        (B, C, height, width), dtype of `features`, in the memory format of `indices`.
    """
    height, width = size
    return _Unpool.apply(features, indices, height, width)


def max_unpool_separate(features: Tensor, indices: Tensor, size: Size) -> Tensor:
    """Write each value to the position where `max_pool_separate` found its maximum, and zeros elsewhere.

    Args:
        features: (B, C, h, w) float.
        indices: int64 (B, C, h, w) from `max_pool_separate` on a map of `size`.
        size: Height and width of the result.

    Returns:
        (B, C, height, width), dtype of `features`, in the memory format of `indices`.
    """
    height, width = size
    rows = _Rows.of(indices)
    zeros = features.new_zeros(rows.shape(height * width))
    written = zeros.scatter(rows.axis, rows.flat(indices), rows.flat(features))
    return rows.map(written, height, width)


class _Rows(NamedTuple):
    """Maps (B, C, h, w) with their pixels along one axis, in the order of their memory, so that nothing is copied.

    Attributes:
        images: B.
        channels: C.
        axis: The axis of the pixels: 2 for (B, C, h * w); 1, with channels last, for (B, h * w, C).
    """

    images: int
    channels: int
    axis: int

    @classmethod
    def of(cls, maps: Tensor) -> _Rows:
        # Small maps may be both; what is contiguous stays so.
        last = maps.is_contiguous(memory_format=torch.channels_last) and not maps.is_contiguous()
        return cls(maps.shape[0], maps.shape[1], 1 if last else 2)

    def shape(self, pixels: int) -> tuple[int, int, int]:
        return (self.images, self.channels, pixels) if self.axis == 2 else (self.images, pixels, self.channels)

    def flat(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) as rows."""
        return maps.flatten(2) if self.axis == 2 else maps.permute(0, 2, 3, 1).flatten(1, 2)

    def map(self, flat: Tensor, height: int, width: int) -> Tensor:
        """Rows as (B, C, height, width)."""
        if self.axis == 2:
            return flat.unflatten(2, (height, width))
        return flat.unflatten(1, (height, width)).permute(0, 3, 1, 2)


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
    """Scatter without the losers in the forward pass, gather from `indices` in the backward pass."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, indices: Tensor, height: int, width: int) -> Tensor:
        """Write the values to their positions."""
        ctx.save_for_backward(indices)
        rows, pixels = _Rows.of(indices), height * width
        # Losers are written to an extra position at the end, which is cut off: no position that is kept is written
        # twice.
        places = rows.flat(torch.where(_loses(indices), pixels, indices))
        unpooled = features.new_zeros(rows.shape(pixels + 1))
        unpooled.scatter_(rows.axis, places, rows.flat(features))
        # Contiguous, because the gap that the cut leaves slows down later layers.
        return rows.map(unpooled.narrow(rows.axis, 0, pixels).contiguous(), height, width)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        """Read the gradient of every window at its position."""
        (indices,) = ctx.saved_tensors
        rows = _Rows.of(indices)
        gradient = rows.flat(gradients[0]).gather(rows.axis, rows.flat(indices))
        return rows.map(gradient, *indices.shape[-2:]), None, None, None
