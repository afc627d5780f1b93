"""Decoder layers of TI's Lite networks: grouped convolutions with the same group size as in the encoder.

Reimplements TexasInstruments/edgeai-torchvision (BSD-3-Clause). With MobileNetV2 a group has one channel,
which makes the convolution depthwise; with RegNetX groups are larger, which embedded accelerators compute
just as fast. No convolution has a bias.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pixelwise.errors import RecipeError
from pixelwise.layers.convolutions import ConvNormActivation
from pixelwise.layers.initialisation import he_normal

RATES = (6, 12, 18)
"""Dilations of the ASPP at every stride of its input."""
DROPOUT = 0.2
NORM_WEIGHT = 1 - 1e-5
"""Initial weight of every batch normalisation; the original gives no reason why it is not 1."""


def pointwise(in_channels: int, out_channels: int, activation: type[nn.Module]) -> ConvNormActivation:
    """A 1x1 convolution, normalisation, activation."""
    return ConvNormActivation(nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False), activation())


def grouped3x3(channels: int, group_size: int, dilation: int = 1) -> nn.Conv2d:
    """A 3x3 convolution of `channels // group_size` groups that keeps size and channels.

    Raises:
        RecipeError: R203, the channels cannot be divided into that many groups.
    """
    groups = channels // group_size
    if groups == 0 or channels % groups:
        raise RecipeError(
            "R203",
            f"a decoder convolution of {channels} channels cannot be divided into groups of {group_size} channels, the "
            "group size of the encoder",
            "choose another value for model.channels; the published networks have 256 for regnetx_004 and "
            "regnetx_008, 264 for regnetx_016, 288 for regnetx_032",
        )
    return nn.Conv2d(channels, channels, kernel_size=3, padding=dilation, dilation=dilation, groups=groups, bias=False)


class GroupedSeparableConv(nn.Module):
    """A grouped 3x3 convolution, then a 1x1 convolution; normalisation and activation after each of the two.

    Args:
        group_size: Channels per group of the 3x3 convolution.
        activation: Class of the activation modules.
        dilation: Dilation of the 3x3 convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, group_size: int, activation: type[nn.Module], dilation: int = 1
    ) -> None:
        super().__init__()
        self.grouped = ConvNormActivation(grouped3x3(in_channels, group_size, dilation), activation())
        self.pointwise = pointwise(in_channels, out_channels, activation)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) float to (B, C', H, W)."""
        return self.pointwise(self.grouped(features))


class LitePrediction(nn.Module):
    """The classifier: a grouped 3x3 convolution with normalisation but no activation, then a 1x1 convolution.

    Args:
        channels: Channels of the input features.
        num_classes: Number of outputs.
        group_size: Channels per group of the 3x3 convolution.
    """

    def __init__(self, channels: int, num_classes: int, group_size: int) -> None:
        super().__init__()
        self.grouped = ConvNormActivation(grouped3x3(channels, group_size), nn.Identity())
        self.classifier = nn.Conv2d(channels, num_classes, kernel_size=1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) float to logits (B, K, H, W)."""
        return self.classifier(self.grouped(features))


class LiteASPP(nn.Module):
    """Atrous spatial pyramid pooling of grouped separable convolutions, without image pooling.

    Args:
        in_channels: Channels of the input features.
        channels: Output channels of each branch and of the result.
        group_size: Channels per group of the 3x3 convolutions.
        activation: Class of the activation modules.
    """

    def __init__(self, in_channels: int, channels: int, group_size: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                pointwise(in_channels, channels, activation),
                *(GroupedSeparableConv(in_channels, channels, group_size, activation, rate) for rate in RATES),
            ]
        )
        self.dropout = nn.Dropout2d(DROPOUT)
        self.project = pointwise(len(self.branches) * channels, channels, activation)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) float to (B, C', H, W)."""
        return self.project(self.dropout(torch.cat([branch(features) for branch in self.branches], dim=1)))


def initialise(network: nn.Module) -> None:
    """Draw the initial weights of a whole Lite network, encoder included, as the original does."""
    he_normal(network)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, NORM_WEIGHT)
            nn.init.zeros_(module.bias)
