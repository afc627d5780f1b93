"""Residual blocks whose last ReLU can be left out, as networks of several branches need them.

A branch passes its features on before the ReLU, so that what another branch adds to them may be negative.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

EXPANSION = 2
"""Output channels of a bottleneck, as a multiple of its inner channels."""


def normalized_conv(in_channels: int, out_channels: int, kernel_size: int = 1, stride: int = 1) -> nn.Sequential:
    """A convolution without bias, padded so that stride 1 keeps the size, and batch normalisation; the kernel is odd.

    The module maps (B, C, H, W) float to (B, C', ceil(H / stride), ceil(W / stride)).
    """
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where stride or channels change.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        stride: Stride of the first convolution and of the shortcut.
        activated: Whether a ReLU follows the sum.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1, *, activated: bool) -> None:
        super().__init__()
        self.first = normalized_conv(in_channels, channels, 3, stride)
        self.second = normalized_conv(channels, channels, 3)
        self.shortcut = shortcut(in_channels, channels, stride)
        self.activated = activated

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) float to (B, C', ceil(H / stride), ceil(W / stride))."""
        total = self.second(F.relu(self.first(features))) + self.shortcut(features)
        return F.relu(total) if self.activated else total


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut, without a ReLU after the sum; twice the channels.

    Args:
        in_channels: Channels of the input.
        channels: Channels inside; the output has twice as many.
        stride: Stride of the 3x3 convolution and of the shortcut.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.first = normalized_conv(in_channels, channels)
        self.second = normalized_conv(channels, channels, 3, stride)
        self.third = normalized_conv(channels, EXPANSION * channels)
        self.shortcut = shortcut(in_channels, EXPANSION * channels, stride)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) float to (B, 2 C', ceil(H / stride), ceil(W / stride))."""
        inside = F.relu(self.second(F.relu(self.first(features))))
        return self.third(inside) + self.shortcut(features)


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The identity, or a normalised 1x1 convolution where stride or channels change."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return normalized_conv(in_channels, out_channels, 1, stride)


def basic_stage(in_channels: int, channels: int, blocks: int, stride: int = 1) -> nn.Sequential:
    """Two or more basic blocks, the first with the stride, the last without a ReLU after its sum."""
    rest = (BasicBlock(channels, channels, activated=number < blocks) for number in range(2, blocks + 1))
    return nn.Sequential(BasicBlock(in_channels, channels, stride, activated=True), *rest)
