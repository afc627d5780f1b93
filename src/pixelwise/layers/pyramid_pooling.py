"""Pyramid pooling: every position sees the means of the regions it lies in, from a sixth of the map to all of it.

Zhao et al. 2017, arXiv:1612.01105.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pixelwise.layers.convolutions import conv_norm_relu
from pixelwise.layers.pooling import grid_means
from pixelwise.layers.resizing import resize_to


class PyramidPooling(nn.Module):
    """Means over grids of regions, each grid through a 1x1 convolution, joined with the input by a 3x3 convolution.

    Weights are PyTorch's default initial ones. In training it needs two images or more if there is
    a grid of 1x1: the normalisation sees one value per image.

    Args:
        in_channels: Of the features.
        channels: Of each grid's convolution and of the result.
        bins: Sides of the grids, 1 or more each.
    """

    def __init__(self, in_channels: int, channels: int, bins: tuple[int, ...]) -> None:
        super().__init__()
        self.bins = bins
        self.branches = nn.ModuleList(conv_norm_relu(in_channels, channels) for _ in bins)
        self.project = conv_norm_relu(in_channels + len(bins) * channels, channels, 3)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) float, any H and W from 1 on, to (B, C', H, W)."""
        levels = [features]
        for side, branch in zip(self.bins, self.branches, strict=True):
            levels.append(resize_to(branch(grid_means(features, side, side)), features))
        return self.project(torch.cat(levels, dim=1))
