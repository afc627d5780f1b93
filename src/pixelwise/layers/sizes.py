"""Questions about the sizes of maps, asked in a way that an exported network stays open for any size."""

from __future__ import annotations

import torch


def surely_equal(length: int, other: int) -> bool:
    """Whether two lengths are equal; while a network is exported for any size: for every size.

    There, lengths are symbols, and a plain comparison would be answered for the example and fixed in the graph.
    """
    if not torch.compiler.is_exporting():
        return length == other
    # Importing this takes longer than importing all of our own code: only exporting pays.
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    return statically_known_true(length == other)


def ceil_divide(length: int, divisor: int) -> int:
    """`length / divisor`, rounded up, of a length of 0 or more.

    Not the usual `-(-length // divisor)`: ONNX rounds quotients of negative integers towards zero.
    """
    return (length + divisor - 1) // divisor


def longer(length: int, other: int) -> int:
    """The greater of two lengths, which may be symbols: `max` would decide it for the example."""
    return torch.sym_max(length, other)  # type: ignore[return-value]


def shorter(length: int, other: int) -> int:
    """The smaller of two lengths, likewise."""
    return torch.sym_min(length, other)  # type: ignore[return-value]
