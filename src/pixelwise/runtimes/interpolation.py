"""Bilinear interpolation of arrays, with the conventions of `torch.nn.functional.interpolate`; never imports torch."""

from __future__ import annotations

import numpy as np

from pixelwise.recipes.sizes import Size


def source_cells(length: int, output_length: int, align_corners: bool) -> tuple[np.ndarray, np.ndarray]:
    """The first of the two source cells of each output position, int64, and the weight of the second, float32.

    The arithmetic is that of PyTorch's kernels, in their precision, so that both are identical to theirs.

    Args:
        length: Number of source cells.
        output_length: Number of output positions.
        align_corners: Whether the first and last positions are those of the source.
    """
    position = np.arange(output_length, dtype=np.float32)
    if align_corners:
        source = position * (np.float32(length - 1) / np.float32(max(output_length - 1, 1)))
    else:
        scale = np.float32(length) / np.float32(output_length)
        source = np.maximum((position + np.float32(0.5)) * scale - np.float32(0.5), np.float32(0))
    first = np.minimum(source.astype(np.int64), length - 1)
    return first, np.clip(source - first.astype(np.float32), np.float32(0), np.float32(1))


def rows_of(values: np.ndarray, size: Size, first: int, last: int, align_corners: bool) -> np.ndarray:
    """Rows `first` to `last - 1` of values that are brought to another size, without computing the other rows.

    Args:
        values: (..., h, w) of any floating-point type.
        size: (height, width) of the result.
        first: Index of the first row.
        last: Index of the row after the last one.
        align_corners: Whether the corners of both sizes are the same places.

    Returns:
        float32 (..., last - first, W).
    """
    h = values.shape[-2]
    if h == size[0]:
        rows = values[..., first:last, :].astype(np.float32, copy=False)
    else:
        upper, weight = source_cells(h, size[0], align_corners)
        upper, weight = upper[first:last], weight[first:last, None]
        lower = np.minimum(upper + 1, h - 1)
        rows = mixed(values[..., upper, :], values[..., lower, :], weight)
    return widened(rows, size[1], align_corners)


def widened(rows: np.ndarray, width: int, align_corners: bool) -> np.ndarray:
    """Values (..., w) brought to (..., width), float32."""
    w = rows.shape[-1]
    if w == width:
        return rows
    left, weight = source_cells(w, width, align_corners)
    return mixed(rows[..., left], rows[..., np.minimum(left + 1, w - 1)], weight)


def resized(values: np.ndarray, size: Size, align_corners: bool) -> np.ndarray:
    """Values (..., h, w) brought to (height, width), float32."""
    return rows_of(values, size, 0, size[0], align_corners)


def mixed(one: np.ndarray, other: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`one` and `other`, of which `weight` is the share of the second: float32."""
    one = one.astype(np.float32, copy=False)
    return one * (np.float32(1) - weight) + other.astype(np.float32, copy=False) * weight
