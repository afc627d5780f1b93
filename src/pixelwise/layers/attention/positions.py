"""Position embeddings that are computed, not learnt."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pixelwise.layers.precision import at_least_float32_type

TEMPERATURE = 10_000
"""Ratio of the longest wave to the shortest one."""
EPS = 1e-6


def sine_positions(height: int, width: int, channels: int, like: Tensor) -> Tensor:
    """Sines and cosines of the row in the first half of the channels, and of the column in the second one.

    Rows and columns are counted from 1 and divided by their number, so that maps of all sizes have the same positions
    at their last row and column (Carion et al. 2020, arXiv:2005.12872).

    Args:
        height: Number of rows.
        width: Number of columns.
        channels: Number of channels, a multiple of 4.
        like: Tensor whose device and data type the result has.

    Returns:
        (height x width, channels), row by row, in -1..1.
    """
    rows, columns = (_waves(length, channels // 2, like) for length in (height, width))
    both = rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1)
    return torch.cat(both, dim=2).flatten(0, 1).to(like.dtype)


def _waves(length: int, channels: int, like: Tensor) -> Tensor:
    """(length, channels), sines and cosines in turn; at least float32."""
    dtype = at_least_float32_type(like)
    place = torch.arange(1, length + 1, dtype=dtype, device=like.device)
    # Divided by a tensor, which graphs for images of any size can hold.
    place = 2 * math.pi * place / (place[-1:] + EPS)
    pair = torch.arange(channels, device=like.device).div(2, rounding_mode="floor").to(dtype)
    angles = place[:, None] / TEMPERATURE ** (2 * pair / channels)
    return torch.stack([angles[:, 0::2].sin(), angles[:, 1::2].cos()], dim=2).flatten(1)
