"""Convolutions with normalisation and activation, after them or before."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ConvNormActivation(nn.Module):
    """Convolution -> batch normalisation -> activation.

    Args:
        conv: A convolution, normally without bias, as the normalisation adds its own shift.
        activation: Activation after the normalisation; `nn.Identity()` for none.
        eps: Epsilon of the batch normalisation.
        momentum: Momentum of the batch normalisation.
    """

    def __init__(self, conv: nn.Conv2d, activation: nn.Module, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(conv.out_channels, eps=eps, momentum=momentum)
        self.activation = activation

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) float to (B, C', H', W'), the shape that the convolution returns."""
        return self.activation(self.norm(self.conv(features)))


def conv_norm_relu(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 1,
    *,
    dilation: int = 1,
    groups: int = 1,
    eps: float = 1e-5,
    momentum: float = 0.1,
) -> ConvNormActivation:
    """A convolution without bias that keeps the size, batch normalisation, ReLU.

    The kernel size has to be odd. The module maps (B, C, H, W) float to (B, C', H, W).
    """
    padding = dilation * (kernel_size // 2)
    conv = nn.Conv2d(
        in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, groups=groups, bias=False
    )
    return ConvNormActivation(conv, nn.ReLU(), eps=eps, momentum=momentum)


class NormActivationConv(nn.Module):
    """Normalisation, ReLU, convolution.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Odd kernel size; padding keeps the size of the map.
        groups: Groups of the convolution.
        bias: Whether the convolution has a bias.
        momentum: Momentum of the normalisation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        groups: int = 1,
        bias: bool = False,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels, momentum=momentum)
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, padding=kernel_size // 2, groups=groups, bias=bias
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H, W)."""
        return self.conv(F.relu(self.norm(features)))
