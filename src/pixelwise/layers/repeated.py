"""A 3x3 convolution of a map whose values are each repeated 2x2, computed without making that map.

Where every value stands four times, a 3x3 window covers only 2x2 different ones: each of the four positions within a
repeated value is a 2x2 convolution whose weights are sums of the nine. So 4 multiplications take the place of 9,
and the enlarged map needs no memory. Exact, up to the order of sums. (Aitken et al. 2017, arXiv:1707.02937, use the
same equivalence of nearest-neighbour enlargement and sub-pixel convolution for initial weights.)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]


def can_convolve_repeated(size: Size, result: Size) -> bool:
    """Whether `convolve_repeated` makes maps of size `result` from those of `size`: twice it, or one less."""
    return all(small > 1 and large in (2 * small - 1, 2 * small) for small, large in zip(size, result, strict=True))


def convolve_repeated(features: Tensor, weight: Tensor, size: Size) -> Tensor:
    """`conv2d(interpolate(features, size, mode="nearest"), weight, padding=1)`, in about half of its time.

    Args:
        features: (B, C, h, w) float, h and w at least 2.
        weight: (C', C, 3, 3).
        size: (2h or 2h - 1, 2w or 2w - 1).

    Returns:
        (B, C', *size), in the memory layout of the convolution's result.
    """
    h, w = features.shape[2:]
    channels = weight.shape[0]
    layout = _layout(features)
    convolved = F.conv2d(features, _quarters(weight).contiguous(memory_format=layout), padding=1)
    # (B, h + 1, w + 1, vertical half, horizontal half, C'): every half begins at a place of its own.
    parts = convolved.permute(0, 2, 3, 1).unflatten(3, (2, 2, channels))
    upper = torch.stack((parts[:, :h, :w, 0, 0], parts[:, :h, 1:, 0, 1]), dim=3)
    lower = torch.stack((parts[:, 1:, :w, 1, 0], parts[:, 1:, 1:, 1, 1]), dim=3)
    whole = torch.stack((upper, lower), dim=2).reshape(-1, 2 * h, 2 * w, channels).permute(0, 3, 1, 2)
    result = whole[:, :, : size[0], : size[1]]
    # Of an odd size the last value stands once: behind it are zeros, not the value again.
    if size[0] % 2:
        edge = F.conv2d(_repeated(features[:, :, -2:], (3, size[1])), weight, padding=1)
        result = torch.cat((result[:, :, :-1], edge[:, :, -1:]), dim=2)
    if size[1] % 2:
        edge = F.conv2d(_repeated(features[..., -2:], (size[0], 3)), weight, padding=1)
        result = torch.cat((result[..., :-1], edge[..., -1:]), dim=3)
    return result.contiguous(memory_format=layout)


def _quarters(weight: Tensor) -> Tensor:
    """(4 C', C, 2, 2): the weights of upper left, upper right, lower left and lower right, one after the other."""
    rows = torch.stack((_halves(weight, 2, "upper"), _halves(weight, 2, "lower")))
    columns = torch.stack((_halves(rows, 4, "upper"), _halves(rows, 4, "lower")), dim=1)
    return columns.flatten(0, 2)


def _halves(weight: Tensor, dim: int, which: str) -> Tensor:
    """Two weights from three: of the first of two equal values, 2 and 3 meet the same one; of the second, 1 and 2."""
    first, second, third = weight.unbind(dim)
    pair = (first, second + third) if which == "upper" else (first + second, third)
    return torch.stack(pair, dim)


def _repeated(features: Tensor, size: Size) -> Tensor:
    """Every value 2x2, cut to `size`."""
    enlarged = F.interpolate(features, scale_factor=2, mode="nearest")
    return enlarged[:, :, : size[0], : size[1]]


def _layout(features: Tensor) -> torch.memory_format:
    last = features.is_contiguous(memory_format=torch.channels_last) and not features.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format
