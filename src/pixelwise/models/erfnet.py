"""ERFNet: Efficient Residual Factorized ConvNet for Real-Time Semantic Segmentation.

Romera, Alvarez, Bergasa, Arroyo, IEEE Transactions on Intelligent Transportation Systems 2018,
doi:10.1109/TITS.2017.2750080. Implemented from the paper. The authors' PyTorch code
(Eromera/erfnet_pytorch) is licensed CC BY-NC 4.0, so none of it is used, only facts: which layers have
biases, the epsilon of 0.001, the 2x2 transposed convolution at the end, PyTorch's default initial weights.

It is trained in two stages: first the `encoder` with its own classifier at stride 8, then the `whole`
network, which starts from that encoder. The encoder's state dict has the same keys in both. In the
whole network the encoder's classifier is an auxiliary head.

Deviation: images whose sides are not multiples of 8, which the original refuses, are padded inside and
their logits cropped.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.layers.padding import pad_to_multiple
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import expect_room_for_image
from pixelwise.recipes.families.real_time.erfnet import ERFNetSpec

STRIDE = 8
"""Stride of the encoder's features."""
STEM_CHANNELS = 16
"""Channels of the first block: the pooled image, and a convolution for the rest."""
EPS = 1e-3
DROPOUT_64 = 0.03
"""Dropout in the encoder's blocks of 64 channels."""
DROPOUT_128 = 0.3
"""Dropout in the encoder's blocks of 128 channels."""
DILATIONS = (2, 4, 8, 16, 2, 4, 8, 16)
"""Dilations of the encoder's blocks of 128 channels."""


class Downsampling(nn.Module):
    """A strided 3x3 convolution and a 2x2 max pooling, concatenated: half the size."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels - in_channels, kernel_size=3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(out_channels, eps=EPS)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W), H and W even, to (B, C', H/2, W/2)."""
        pooled = F.max_pool2d(features, kernel_size=2, stride=2)
        return F.relu(self.norm(torch.cat((self.conv(features), pooled), dim=1)))


class FactorizedConv(nn.Module):
    """A 3x3 convolution factorised into a 3x1 and a 1x3: 3x1 convolution, ReLU, 1x3 convolution, normalisation.

    Args:
        channels: Input and output channels.
        dilation: Dilation of both convolutions.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.vertical = nn.Conv2d(channels, channels, kernel_size=(3, 1), padding=(dilation, 0), dilation=(dilation, 1))
        self.horizontal = nn.Conv2d(
            channels, channels, kernel_size=(1, 3), padding=(0, dilation), dilation=(1, dilation)
        )
        self.norm = nn.BatchNorm2d(channels, eps=EPS)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return self.norm(self.horizontal(F.relu(self.vertical(features))))


class NonBottleneck1D(nn.Module):
    """Residual block of two factorised convolutions, the second one dilated; keeps size and channels.

    Args:
        channels: Input and output channels.
        dropout: Probability that a channel of the residual is dropped.
        dilation: Dilation of the second factorised convolution.
    """

    def __init__(self, channels: int, dropout: float = 0.0, dilation: int = 1) -> None:
        super().__init__()
        self.first = FactorizedConv(channels, dilation=1)
        self.second = FactorizedConv(channels, dilation)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        residual = self.second(F.relu(self.first(features)))
        return F.relu(self.dropout(residual) + features)


class Upsampling(nn.Module):
    """A transposed 3x3 convolution, normalisation, ReLU: twice the size."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(in_channels, out_channels, kernel_size=3, stride=2, padding=1, output_padding=1)
        self.norm = nn.BatchNorm2d(out_channels, eps=EPS)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C', 2h, 2w)."""
        return F.relu(self.norm(self.conv(features)))


class Encoder(nn.Module):
    """Encoder of stride 8 with its own classifier.

    Args:
        num_classes: Number of outputs of the classifier, which `forward` does not apply.
        in_channels: Number of bands of the images, 1..15; a convolution computes the rest of the stem's 16 channels.
    """

    def __init__(self, num_classes: int, in_channels: int = 3) -> None:
        super().__init__()
        self.initial = Downsampling(in_channels, STEM_CHANNELS)
        self.layers = nn.Sequential(
            Downsampling(STEM_CHANNELS, 64),
            *(NonBottleneck1D(64, DROPOUT_64) for _ in range(5)),
            Downsampling(64, 128),
            *(NonBottleneck1D(128, DROPOUT_128, dilation) for dilation in DILATIONS),
        )
        self.classifier = nn.Conv2d(128, num_classes, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W), H and W multiples of 8, to (B, 128, H/8, W/8)."""
        return self.layers(self.initial(images))


class ERFNet(SegmentationModel):
    """Encoder of stride 8 and a decoder with logits at stride 1, or the encoder alone.

    Raises:
        RecipeError: R203, more than 15 input channels.

    Attributes:
        decoder: The decoder without its classifier; None if the network is the encoder alone.
        classifier: The classifier of the decoder; None if the network is the encoder alone.
    """

    def __init__(self, spec: ERFNetSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        expect_room_for_image(spec.preprocessing.in_channels, STEM_CHANNELS)
        self.encoder = Encoder(self.num_classes, spec.preprocessing.in_channels)
        self.decoder: nn.Sequential | None = None
        self.classifier: nn.ConvTranspose2d | None = None
        if spec.part == "whole":
            self.decoder = nn.Sequential(
                Upsampling(128, 64),
                *(NonBottleneck1D(64) for _ in range(2)),
                Upsampling(64, 16),
                *(NonBottleneck1D(16) for _ in range(2)),
            )
            self.classifier = nn.ConvTranspose2d(16, self.num_classes, kernel_size=2, stride=2)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, H, W); in training mode, those of the encoder, (B, K, ceil(H / 8), ceil(W / 8)), follow.

        A network that is the encoder alone returns only the encoder's logits.
        """
        height, width = images.shape[-2:]
        # Padding adds less than one position of stride 8, so the encoder's logits need no cropping.
        features = self.encoder(pad_to_multiple(images, STRIDE))
        if self.decoder is None or self.classifier is None:
            return (self.encoder.classifier(features),)
        logits = self.classifier(self.decoder(features))[..., :height, :width]
        return (logits, self.encoder.classifier(features)) if self.training else (logits,)


@builds(ERFNetSpec)
def build(spec: ERFNetSpec, classes: tuple[str, ...]) -> ERFNet:
    """ERFNet with random initial weights."""
    return ERFNet(spec, classes)
