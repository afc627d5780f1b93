"""Average pooling over regions whose number or size depends on the size of the feature map.

PyTorch's kernels compute it, except while a network is exported for images of any size: neither ONNX nor
`torch.export` can represent such a kernel, because its regions would be fixed. There the mean is written as two matrix
products, whose matrices are built from the size: equal up to rounding, and slower only for large maps.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def grid_means(features: Tensor, rows: int, columns: int) -> Tensor:
    """Means over a grid of regions that cover the map and overlap where it cannot be divided evenly.

    Args:
        features: (B, C, H, W) float.
        rows: Number of rows of the grid.
        columns: Number of columns of the grid.

    Returns:
        (B, C, rows, columns), as from `torch.nn.functional.adaptive_avg_pool2d`.
    """
    if not torch.compiler.is_exporting():
        return F.adaptive_avg_pool2d(features, (rows, columns))
    height, width = features.shape[-2:]
    return _products(_adaptive(height, rows, features), features, _adaptive(width, columns, features))


def window_means(features: Tensor, window: tuple[int, int], stride: tuple[int, int], *, padding: int = 0) -> Tensor:
    """Means over the windows that lie completely inside the map.

    Args:
        features: (B, C, H, W) float.
        window: (height, width) of a window, at most those of the map with its padding.
        stride: Vertical and horizontal distance between neighbouring windows.
        padding: Rows and columns of zeros on each side, which count in the means; at most half a window.

    Returns:
        (B, C, (H - window[0]) // stride[0] + 1, (W - window[1]) // stride[1] + 1) for a map H x W with its padding, as
        from `torch.nn.functional.avg_pool2d`.
    """
    if not torch.compiler.is_exporting():
        return F.avg_pool2d(features, window, stride=stride, padding=padding)
    if padding:
        features = F.pad(features, (padding,) * 4)
    height, width = features.shape[-2:]
    vertical = _sliding(height, window[0], stride[0], features)
    return _products(vertical, features, _sliding(width, window[1], stride[1], features))


def _products(vertical: Tensor, features: Tensor, horizontal: Tensor) -> Tensor:
    """(R, H) x (B, C, H, W) x (S, W) transposed: (B, C, R, S)."""
    return vertical @ (features @ horizontal.transpose(0, 1))


def _adaptive(length: int, cells: int, like: Tensor) -> Tensor:
    """(cells, length): each row averages positions floor(i * length / cells) to ceil((i + 1) * length / cells) - 1."""
    position = torch.arange(length, device=like.device)
    cell = torch.arange(cells, device=like.device)
    return _averaging(position, cell * length // cells, ((cell + 1) * length + cells - 1) // cells, like)


def _sliding(length: int, window: int, stride: int, like: Tensor) -> Tensor:
    """(number of windows, length): each row averages one window."""
    position = torch.arange(length, device=like.device)
    first = torch.arange((length - window) // stride + 1, device=like.device) * stride
    return _averaging(position, first, first + window, like)


def _averaging(position: Tensor, first: Tensor, end: Tensor, like: Tensor) -> Tensor:
    inside = (position >= first[:, None]) & (position < end[:, None])
    return inside.to(like.dtype) / (end - first)[:, None].to(like.dtype)
