"""Segmentation heads shared by several model families."""

from __future__ import annotations

from torch import Tensor, nn

from pixelwise.layers.convolutions import conv_norm_relu

DROPOUT = 0.1
"""Dropout before the classifiers of FCN and PSPNet and of all auxiliary heads."""


class ConvolutionalHead(nn.Module):
    """3x3 convolutions, each with normalisation and ReLU, then dropout and a 1x1 classifier.

    Initial weights are PyTorch's defaults.

    Args:
        in_channels: Channels of the input features.
        channels: Output channels of each 3x3 convolution.
        convolutions: Number of 3x3 convolutions, 0 or more.
        num_classes: Number of outputs of the classifier.
        dropout: Dropout before the classifier; `nn.Identity()` for none.
    """

    def __init__(
        self, in_channels: int, channels: int, convolutions: int, num_classes: int, dropout: nn.Module
    ) -> None:
        super().__init__()
        widths = [in_channels, *[channels] * convolutions]
        self.convs = nn.Sequential(*(conv_norm_relu(width, channels, 3) for width in widths[:-1]))
        self.dropout = dropout
        self.classifier = nn.Conv2d(widths[-1], num_classes, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) float to logits (B, K, h, w)."""
        return self.classifier(self.dropout(self.convs(features)))
