"""Operations in terms of others that compute the same, for converters that lack them or translate them wrongly.

Each function stands for an operation of PyTorch in the table of `ExportedProgram.run_decompositions`, and takes its
arguments: see `torch.ops.aten`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_ATEN = torch.ops.aten
Numbers = int | Sequence[int]


def transposed_convolution(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Numbers = 1,
    padding: Numbers = 0,
    output_padding: Numbers = 0,
    *rest: Any,
) -> Tensor:
    """A transposed convolution without padding, cropped.

    The padding takes that many rows and columns off every side of the result, and the output padding gives some back
    at the end: `result[i] = full[i + padding]`.

    Args:
        features: (B, C, h, w).
        weight: (C, C' / groups, rows, columns).
        bias: (C',).
        stride: Distance of the features in the result.
        padding: Rows and columns that are cut off.
        output_padding: Rows and columns at the end that are not cut off.
        rest: `groups` and `dilation`.

    Returns:
        (B, C', H, W).

    Raises:
        ValueError: The output padding exceeds the padding, so that the result reaches beyond the full one.
    """
    groups, dilation = (*rest, *(1, 1)[len(rest) :])
    tops, ends = _pair(padding), _pair(output_padding)
    if any(end > top for end, top in zip(ends, tops, strict=True)):
        raise ValueError(f"a transposed convolution has output padding {ends}, which is more than its padding {tops}")
    full = _ATEN.convolution.default(
        features, weight, bias, _pair(stride), (0, 0), _pair(dilation), True, (0, 0), groups
    )
    for axis, top, end in zip((2, 3), tops, ends, strict=True):
        if top:
            full = full.narrow(axis, top, full.shape[axis] - 2 * top + end)
    return full


def max_pool_with_indices(
    features: Tensor,
    kernel_size: Numbers,
    stride: Numbers = (),
    padding: Numbers = 0,
    dilation: Numbers = 1,
    ceil_mode: bool = False,
) -> tuple[Tensor, Tensor]:
    """The largest value of each window and its place, as the first of the largest ones of all places in a window.

    Args:
        features: (B, C, H, W) float.
        kernel_size: Rows and columns of a window.
        stride: Distance of the windows; empty: `kernel_size`.
        padding: Rows and columns of minus infinity around the features.
        dilation: Distance of the values of a window.
        ceil_mode: Whether a window may reach beyond the padding.

    Returns:
        The maxima, and their places `row * W + column` (int64) in the features, both (B, C, h, w).

    Raises:
        ValueError: `ceil_mode` is set.
    """
    if ceil_mode:
        raise ValueError("a pooling with indices rounds its size up")
    (rows, columns), (top, left) = _pair(kernel_size), _pair(padding)
    steps, (down, right) = _pair(stride or kernel_size), _pair(dilation)
    width = features.shape[-1]
    padded = F.pad(features, (left, left, top, top), value=float("-inf"))
    h, w = (
        (side - reach * (count - 1) - 1) // step + 1
        for side, reach, count, step in zip(padded.shape[-2:], (down, right), (rows, columns), steps, strict=True)
    )
    best = places = None
    first = torch.arange(h, device=features.device)[:, None] * steps[0] - top
    second = torch.arange(w, device=features.device)[None, :] * steps[1] - left
    for row in range(0, rows * down, down):
        for column in range(0, columns * right, right):
            values = padded[..., row :: steps[0], column :: steps[1]][..., :h, :w]
            place = ((first + row) * width + second + column).expand(values.shape)
            if best is None or places is None:
                best, places = values, place
                continue
            larger = values > best
            best, places = torch.where(larger, values, best), torch.where(larger, place, places)
    if best is None or places is None:
        raise ValueError(f"a pooling has windows of {rows}x{columns}")
    return best, places


def of_bools(logical: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Any]:
    """The rewriting of an operator such as `&` as an operation of bool arrays; of other arrays it stays as it is."""

    def rewritten(first: Tensor, second: Tensor) -> Any:
        return logical(first, second) if first.dtype == second.dtype == torch.bool else NotImplemented

    return rewritten


DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    _ATEN.conv_transpose2d.input: transposed_convolution,
    _ATEN.max_pool2d_with_indices.default: max_pool_with_indices,
}
"""Operations that converters translate wrongly, or not at all, and what takes their place."""
OF_BOOLS: dict[Any, Callable[..., Any]] = {
    _ATEN.__or__.Tensor: of_bools(torch.logical_or),
    _ATEN.__and__.Tensor: of_bools(torch.logical_and),
    _ATEN.__xor__.Tensor: of_bools(torch.logical_xor),
}
"""Python's operators, which some converters know under their other names alone."""


def _pair(value: Numbers) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    return value[0], value[-1]
