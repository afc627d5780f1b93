"""Pyramid pooling: every position receives the means of the regions that contain it, at several scales.

Zhao et al. 2017, arXiv:1612.01105.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pixelwise.layers.convolutions import conv_norm_relu
from pixelwise.layers.pooling import grid_means
from pixelwise.layers.resizing import resize_to


class PyramidPooling(nn.Module):
    """Means over grids of regions, a 1x1 convolution per grid, and a 3x3 convolution that fuses them with the input.

    Initial weights are PyTorch's defaults. With a grid of 1x1, training needs batches of two or more images,
    because the normalisation of that grid sees one value per image.

    Args:
        in_channels: Channels of the input features.
        channels: Output channels of each grid's convolution and of the result.
        bins: Rows (and columns) of each grid, 1 or more.
    """

    def __init__(self, in_channels: int, channels: int, bins: tuple[int, ...]) -> None:
        super().__init__()
        self.bins = bins
        self.branches = nn.ModuleList(conv_norm_relu(in_channels, channels) for _ in bins)
        self.project = conv_norm_relu(in_channels + len(bins) * channels, channels, 3)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) float, H and W 1 or more, to (B, C', H, W)."""
        levels = [features]
        for side, branch in zip(self.bins, self.branches, strict=True):
            levels.append(resize_to(branch(grid_means(features, side, side)), features))
        return self.project(torch.cat(levels, dim=1))
