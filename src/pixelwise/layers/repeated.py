"""A 3x3 convolution of a map upsampled 2x by nearest neighbour, computed without building the upsampled map.

Where every value is repeated 2x2, a 3x3 window covers only 2x2 different values: each of the four positions within a
repeated value is a 2x2 convolution whose weights are sums of the nine. This replaces 9 multiplications by 4, and the
upsampled map needs no memory. The result is exact up to the order of summation. (Aitken et al. 2017, arXiv:1707.02937,
use the same equivalence of nearest-neighbour upsampling and sub-pixel convolution for initial weights.)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

Size = tuple[int, int]


def can_convolve_repeated(size: Size, result: Size) -> bool:
    """Whether `convolve_repeated` can compute maps of size `result` from those of `size`: twice it, or one less."""
    return all(small > 1 and large in (2 * small - 1, 2 * small) for small, large in zip(size, result, strict=True))


def convolve_repeated(features: Tensor, weight: Tensor, size: Size) -> Tensor:
    """`conv2d(interpolate(features, size, mode="nearest"), weight, padding=1)`, in about half the time.

    Args:
        features: (B, C, h, w) float, h and w at least 2.
        weight: (C', C, 3, 3) float.
        size: Size of the result, (2h or 2h - 1, 2w or 2w - 1).

    Returns:
        (B, C', *size), in the memory layout of the convolution's result.
    """
    layout = _layout(features)
    quarters = F.conv2d(features, _quarters(weight).contiguous(memory_format=layout), padding=1)
    whole: Tensor = _Interleaved.apply(quarters)  # type: ignore[assignment]
    result = whole[:, :, : size[0], : size[1]]
    # If a side is odd, its last value appears only once: after it come zeros, not the value again.
    if size[0] % 2:
        edge = F.conv2d(_repeated(features[:, :, -2:], (3, size[1])), weight, padding=1)
        result = torch.cat((result[:, :, :-1], edge[:, :, -1:]), dim=2)
    if size[1] % 2:
        edge = F.conv2d(_repeated(features[..., -2:], (size[0], 3)), weight, padding=1)
        result = torch.cat((result[..., :-1], edge[..., -1:]), dim=3)
    return result.contiguous(memory_format=layout)


class _Interleaved(torch.autograd.Function):
    """Interleave four maps, one per position, (B, 4 C', h + 1, w + 1), into (B, C', 2h, 2w).

    A custom autograd function, because autograd would fill and add a whole tensor for each slice.
    """

    @staticmethod
    def forward(ctx: Any, quarters: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Copy every position of the result once."""
        batch, channels, height, width = quarters.shape
        shape = (batch, channels // 4, 2 * height - 2, 2 * width - 2)
        whole = torch.empty(shape, dtype=quarters.dtype, device=quarters.device, memory_format=_layout(quarters))
        for target, part, _ in _positions(whole, quarters):
            target.copy_(part)
        return whole

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Copy the gradients back; the margins that no position uses get zero."""
        batch, channels, height, width = gradient.shape
        shape = (batch, 4 * channels, height // 2 + 1, width // 2 + 1)
        quarters = torch.empty(shape, dtype=gradient.dtype, device=gradient.device, memory_format=_layout(gradient))
        for source, part, margins in _positions(gradient, quarters):
            part.copy_(source)
            for margin in margins:
                margin.zero_()
        return quarters


def _positions(whole: Tensor, quarters: Tensor) -> Iterator[tuple[Tensor, Tensor, tuple[Tensor, Tensor]]]:
    """For each of the four positions: its view in the whole, its view in its quarter, and the unused row and column."""
    height, width = quarters.shape[2] - 1, quarters.shape[3] - 1
    for quarter, (down, right) in zip(quarters.chunk(4, dim=1), itertools.product((0, 1), (0, 1)), strict=True):
        part = quarter[:, :, down : down + height, right : right + width]
        margins = quarter[:, :, 0 if down else height], quarter[..., 0 if right else width]
        yield whole[:, :, down::2, right::2], part, margins


def _quarters(weight: Tensor) -> Tensor:
    """(4 C', C, 2, 2): the weights of upper left, upper right, lower left and lower right, in this order."""
    rows = torch.stack((_halves(weight, 2, "upper"), _halves(weight, 2, "lower")))
    columns = torch.stack((_halves(rows, 4, "upper"), _halves(rows, 4, "lower")), dim=1)
    return columns.flatten(0, 2)


def _halves(weight: Tensor, dim: int, which: str) -> Tensor:
    """Two weights from three: "upper" adds weights 2 and 3, which meet the same repeated value; "lower" 1 and 2."""
    first, second, third = weight.unbind(dim)
    pair = (first, second + third) if which == "upper" else (first + second, third)
    return torch.stack(pair, dim)


def _repeated(features: Tensor, size: Size) -> Tensor:
    """`features` with every value repeated 2x2, cropped to `size`."""
    enlarged = F.interpolate(features, scale_factor=2, mode="nearest")
    return enlarged[:, :, : size[0], : size[1]]


def _layout(features: Tensor) -> torch.memory_format:
    last = features.is_contiguous(memory_format=torch.channels_last) and not features.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format
