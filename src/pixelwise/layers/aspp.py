"""Atrous spatial pyramid pooling (ASPP): parallel convolutions of several dilations, and global average pooling.

Chen et al. 2017, arXiv:1706.05587; with separable convolutions: Chen et al. 2018, arXiv:1802.02611.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pixelwise.layers.convolutions import ConvNormActivation, conv_norm_relu


class SeparableConv(nn.Module):
    """A depthwise 3x3 convolution, then a 1x1 convolution; normalisation and ReLU after each of the two.

    Args:
        dilation: Dilation of the 3x3 convolution.
        eps: Epsilon of both batch normalisations.
        momentum: Momentum of both batch normalisations.
    """

    def __init__(
        self, in_channels: int, out_channels: int, dilation: int = 1, *, eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        super().__init__()
        self.depthwise = conv_norm_relu(
            in_channels, in_channels, 3, dilation=dilation, groups=in_channels, eps=eps, momentum=momentum
        )
        self.pointwise = conv_norm_relu(in_channels, out_channels, eps=eps, momentum=momentum)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) float to (B, C', H, W)."""
        return self.pointwise(self.depthwise(features))


class ASPP(nn.Module):
    """A 1x1 convolution, one dilated 3x3 convolution per rate and the mean of the map, fused by a 1x1 convolution.

    No convolution has a bias; batch normalisation and ReLU follow each of them. The branches are
    concatenated in the order 1x1, rates as given, mean. Initial weights are PyTorch's defaults.

    Args:
        channels: Output channels of each branch and of the result.
        rates: Dilations of the 3x3 branches; empty: no such branch.
        separable: Whether the 3x3 branches are separable convolutions.
        image_pooling: Whether there is a branch for the mean of the whole map. In training it needs batches of
            two or more images, because its normalisation sees one value per image.
        dropout: Probability that an element of the result is dropped in training.
        eps: Epsilon of all batch normalisations.
        momentum: Momentum of all batch normalisations.

    Attributes:
        branches: The 1x1 convolution, then one branch per rate.
        pooled: The 1x1 convolution of the mean; None if there is no such branch.
        project: The 1x1 convolution that fuses the branches.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        rates: tuple[int, ...] = (),
        *,
        separable: bool = False,
        image_pooling: bool = True,
        dropout: float = 0.0,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()

        def pointwise(inputs: int) -> ConvNormActivation:
            return conv_norm_relu(inputs, channels, eps=eps, momentum=momentum)

        def atrous(rate: int) -> nn.Module:
            if separable:
                return SeparableConv(in_channels, channels, rate, eps=eps, momentum=momentum)
            return conv_norm_relu(in_channels, channels, 3, dilation=rate, eps=eps, momentum=momentum)

        self.branches = nn.ModuleList([pointwise(in_channels), *(atrous(rate) for rate in rates)])
        self.pooled: ConvNormActivation | None = pointwise(in_channels) if image_pooling else None
        self.project = pointwise((len(self.branches) + image_pooling) * channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) float to (B, C', H, W)."""
        branches = [branch(features) for branch in self.branches]
        if self.pooled is not None:
            mean = self.pooled(features.mean(dim=(2, 3), keepdim=True))
            branches.append(mean.expand(-1, -1, *features.shape[-2:]))
        return self.dropout(self.project(torch.cat(branches, dim=1)))
