"""Arithmetic and comparisons of lengths that keep an exported network valid for any size."""

from __future__ import annotations

import torch


def surely_equal(length: int, other: int) -> bool:
    """Whether two lengths are equal; in an export for any size, whether they are equal for every size.

    In an export, lengths are symbols, and a plain comparison would be decided for the example and fixed in the graph.
    """
    if not torch.compiler.is_exporting():
        return length == other
    # This import takes longer than that of the whole package, so it happens only in an export.
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    return statically_known_true(length == other)


def ceil_divide(length: int, divisor: int) -> int:
    """`length / divisor`, rounded up; `length` has to be 0 or more.

    The usual `-(-length // divisor)` would be wrong in ONNX, which rounds negative quotients towards zero.
    """
    return (length + divisor - 1) // divisor


def longer(length: int, other: int) -> int:
    """The greater of two lengths, which may be symbols: `max` would decide for the example of an export."""
    return torch.sym_max(length, other)  # type: ignore[return-value]


def shorter(length: int, other: int) -> int:
    """The smaller of two lengths, which may be symbols: `min` would decide for the example of an export."""
    return torch.sym_min(length, other)  # type: ignore[return-value]
