"""A convolution with its normalisation and activation."""

from __future__ import annotations

from torch import Tensor, nn


class ConvNormActivation(nn.Module):
    """Convolution -> batch normalisation -> activation.

    Args:
        conv: A convolution, normally without bias: the normalisation shifts anyway.
        activation: What follows the normalisation; `nn.Identity()` for nothing.
    """

    def __init__(self, conv: nn.Conv2d, activation: nn.Module) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(conv.out_channels)
        self.activation = activation

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) float to the convolution's (B, C', H', W')."""
        return self.activation(self.norm(self.conv(features)))
