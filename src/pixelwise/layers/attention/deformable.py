"""Deformable attention: every position looks at a few points of each of several maps, wherever it has learnt to.

Zhu et al., ICLR 2021, arXiv:2010.04159. Implemented from the paper and from the graph of the authors' code and of
Hugging Face transformers (both Apache-2.0), with PyTorch's own sampling: no kernel has to be compiled, and graphs can
be exported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.layers.precision import at_least_float32_type

INITIAL_STD = 1e-4
"""Of the weights that move and weigh points: the original's are 0, with which positions would not learn at first."""


class DeformableAttention(nn.Module):
    """Attention of the positions of several maps to points of all of them.

    At first, the points of each head lie in a direction of its own, 1, 2, ... pixels away, and have equal weights.

    Args:
        channels: Input and output channels.
        heads: Number of heads, a divisor of `channels`.
        levels: Number of maps.
        points: Number of points per head and map.
    """

    def __init__(self, channels: int, heads: int, levels: int, points: int) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.offsets = nn.Linear(channels, heads * levels * points * 2)
        self.weights = nn.Linear(channels, heads * levels * points)
        self.value = nn.Linear(channels, channels)
        self.proj = nn.Linear(channels, channels)
        for layer in (self.value, self.proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        for layer in (self.offsets, self.weights):
            nn.init.normal_(layer.weight, std=INITIAL_STD)
        nn.init.zeros_(self.weights.bias)
        angles = torch.arange(heads) * (2 * math.pi / heads)
        directions = torch.stack([angles.cos(), angles.sin()], dim=1)
        # On the square around the position, not on the circle.
        directions = directions / directions.abs().amax(1, keepdim=True)
        apart = directions[:, None, None] * torch.arange(1, points + 1)[:, None]
        with torch.no_grad():
            self.offsets.bias.copy_(apart.expand(-1, levels, -1, -1).flatten())

    def forward(self, queries: Tensor, features: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """Look at the maps from each of their positions.

        Args:
            queries: (B, N, C), one per position: those of the first map row by row, then those of the second one, ...
            features: (B, N, C), the maps, in the same order.
            sizes: Height and width of each map.

        Returns:
            (B, N, C).
        """
        offsets = self.offsets(queries).unflatten(2, (self.heads, self.levels, self.points, 2))
        weights = self.weights(queries).unflatten(2, (self.heads, -1)).softmax(-1).transpose(1, 2).flatten(0, 1)
        values = self.value(features).unflatten(2, (self.heads, -1)).permute(0, 2, 3, 1).flatten(0, 1)
        # Positions need more digits than bfloat16 and float16 have.
        dtype = at_least_float32_type(features)
        centres = torch.cat([_centres(height, width, dtype, queries) for height, width in sizes])
        parts: list[Tensor] = []
        start = 0
        for level, (height, width) in enumerate(sizes):
            places = centres[:, None, None] + offsets[:, :, :, level].to(dtype) / _lengths(height, width, centres)
            grid = (2 * places - 1).transpose(1, 2).flatten(0, 1)
            level_map = values[..., start : start + height * width].unflatten(2, (height, width)).to(dtype)
            # (B x heads, C / heads, N, points)
            seen = F.grid_sample(level_map, grid, align_corners=False)
            own = weights[:, None, :, level * self.points : (level + 1) * self.points]
            parts.append((seen * own).sum(-1))
            start = start + height * width
        joined = sum(parts[1:], parts[0]).unflatten(0, (-1, self.heads)).flatten(1, 2).transpose(1, 2)
        return self.proj(joined.to(features.dtype))


def _centres(height: int, width: int, dtype: torch.dtype, like: Tensor) -> Tensor:
    """Centres of the pixels of a map, column and row as shares of the map: (height x width, 2)."""
    row, column = (torch.arange(length, dtype=dtype, device=like.device) for length in (height, width))
    # Divided by tensors, which graphs for images of any size can hold.
    down, across = (row + 0.5) / (row[-1:] + 1), (column + 0.5) / (column[-1:] + 1)
    both = across[None].expand(height, -1), down[:, None].expand(-1, width)
    return torch.stack(both, dim=2).flatten(0, 1)


def _lengths(height: int, width: int, like: Tensor) -> Tensor:
    """Width and height of a map: (2,)."""
    last = (torch.arange(length, dtype=like.dtype, device=like.device)[-1:] for length in (width, height))
    return torch.cat([*last]) + 1
