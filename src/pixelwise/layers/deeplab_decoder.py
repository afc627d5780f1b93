"""The decoder of DeepLabV3+: Chen et al. 2018 (ECCV), arXiv:1802.02611."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pixelwise.layers.aspp import ASPP, SeparableConv
from pixelwise.layers.convolutions import conv_norm_relu
from pixelwise.layers.resizing import resize_to

DROPOUT = 0.1
"""Dropout after the pyramid pooling; not in the paper, but in its code."""


class NormConstants(NamedTuple):
    """Constants of batch normalisation; the defaults are PyTorch's.

    Attributes:
        eps: Constant added to the variance.
        momentum: Weight of a new batch in the running statistics.
    """

    eps: float = 1e-5
    momentum: float = 0.1


PYTORCH_NORM = NormConstants()


class DeepLabDecoder(nn.Module):
    """Separable atrous pyramid pooling, fused with finer features by two separable convolutions, and a classifier.

    Initial weights are PyTorch's defaults.

    Args:
        fine_channels: Channels of the finer features.
        in_channels: Channels of the coarsest features.
        rates: Dilations of the pyramid pooling.
        num_classes: Number of outputs of the classifier.
        channels: Output channels of the pyramid pooling and of the two convolutions.
        low_level_channels: Channels to which the finer features are reduced.
        align_corners: Whether the coarse features are upsampled with aligned corners.
        norm: Constants of all batch normalisations.
    """

    def __init__(
        self,
        fine_channels: int,
        in_channels: int,
        rates: tuple[int, ...],
        num_classes: int,
        *,
        channels: int = 256,
        low_level_channels: int = 48,
        align_corners: bool = False,
        norm: NormConstants = PYTORCH_NORM,
    ) -> None:
        super().__init__()
        eps, momentum = norm
        self.align_corners: bool = align_corners
        self.aspp = ASPP(in_channels, channels, rates, separable=True, dropout=DROPOUT, eps=eps, momentum=momentum)
        self.reduce = conv_norm_relu(fine_channels, low_level_channels, eps=eps, momentum=momentum)
        self.decoder = nn.Sequential(
            SeparableConv(channels + low_level_channels, channels, eps=eps, momentum=momentum),
            SeparableConv(channels, channels, eps=eps, momentum=momentum),
        )
        self.classifier = nn.Conv2d(channels, num_classes, kernel_size=1)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """(B, F, H, W) and (B, C, h, w) float to logits (B, K, H, W)."""
        enlarged = resize_to(self.aspp(coarse), fine, align_corners=self.align_corners)
        return self.classifier(self.decoder(torch.cat((enlarged, self.reduce(fine)), dim=1)))
