"""Rotary position embedding of patches by their place in the image, as in DINOv3."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

BASE = 100.0
"""Period number i of n, from 0, is BASE ** (i / n), where a side of the image is 2 long."""


class Rotation(NamedTuple):
    """How the channels of each patch are turned.

    Attributes:
        cosines: (N, C), in -1..1.
        sines: (N, C), in -1..1.
    """

    cosines: Tensor
    sines: Tensor


def rotation_of_patches(height: int, width: int, channels: int, like: Tensor) -> Rotation:
    """The rotation of every patch (Simeoni et al. 2025, arXiv:2508.10104; Su et al. 2021, arXiv:2104.09864).

    The centres of the patches have coordinates in -1..1 along both sides, whatever the number of patches. Each
    coordinate turns a quarter of the channels together with the quarter that lies half of the channels behind it; each
    of them makes a whole turn per period. Angles are computed in float32, as in the original.

    Args:
        height: Rows of patches.
        width: Columns of patches.
        channels: Channels of a head, a multiple of 4.
        like: Tensor whose device and data type the result has.

    Returns:
        Cosines and sines of N = height x width patches, row by row.
    """
    exponents = torch.arange(channels // 4, device=like.device, dtype=torch.float32) / (channels // 4)
    frequencies = 2 * math.pi / BASE**exponents
    rows, columns = (_centres(length, like)[:, None] * frequencies for length in (height, width))
    angles = torch.cat([rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1)], dim=2).flatten(0, 1)
    angles = torch.cat([angles, angles], dim=1)
    return Rotation(angles.cos().to(like.dtype), angles.sin().to(like.dtype))


def turned(heads: Tensor, rotation: Rotation) -> Tensor:
    """Turn the last N tokens of (B, heads, M, C), M >= N, and leave those before them as they are."""
    before = heads.shape[2] - rotation.sines.shape[0]
    patches = heads[:, :, before:]
    first, second = patches.chunk(2, dim=-1)
    crossed = torch.cat([-second, first], dim=-1)
    # Linear layers may compute in fewer digits than what is before them.
    cosines, sines = rotation.cosines.to(heads.dtype), rotation.sines.to(heads.dtype)
    return torch.cat([heads[:, :, :before], patches * cosines + crossed * sines], dim=2)


def _centres(length: int, like: Tensor) -> Tensor:
    """The centres of `length` equal parts of -1..1, float32."""
    place = torch.arange(length, device=like.device, dtype=torch.float32) + 0.5
    # Divided by a tensor, which graphs for images of any size can hold.
    return 2 * (place / (place[-1:] + 0.5)) - 1
