"""ENet: A Deep Neural Network Architecture for Real-Time Semantic Segmentation.

Paszke, Chaurasia, Kim, Culurciello 2016, arXiv:1606.02147. Reimplements davidtvs/PyTorch-ENet (MIT).
Blocks are named as in table 1 of the paper: `stage2[3]` is bottleneck2.3.

Two revisions of that code base have different graphs; `ENetSpec.graph` selects one:

==================================  ====================  =======================
                                    `overlapping`         `any-size`
revision                            6309b24 (2019-08)     e17d404 (2021)
pooling in the encoder's shortcuts  3x3, stride 2         2x2, stride 2
transposed convolutions, decoder    3x3                   2x2
ReLU after their expansion          yes                   no
parameters, 12 / 20 outputs         357,052 / 358,204     350,652 / 351,804
==================================  ====================  =======================

Like the code base, both differ from the paper: an activation follows each expansion, PReLU has
one slope per layer, and dropout is applied before the sum.

Deviations from the code base, none of which changes a logit for inputs that it accepts:

- `overlapping` needs multiples of 8; images of other sizes are padded inside and their logits cropped.
- `any-size` needs 7 pixels; shorter sides are padded to 7.
- Unpooling of overlapping windows is deterministic (see `pixelwise.layers.unpooling`).

On a processor it learns with channels last in memory, whatever `precision.channels_last` says: see
`pixelwise.layers.kernels.memory_formats`, and `pixelwise.layers.kernels.prelu` for its activation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.layers.convolutions import ConvNormActivation
from pixelwise.layers.kernels.memory_formats import fastest_to_learn
from pixelwise.layers.kernels.prelu import PReLU
from pixelwise.layers.padding import pad_to, round_up
from pixelwise.layers.sizes import longer
from pixelwise.layers.transposed import transposed_to
from pixelwise.layers.unpooling import (
    max_pool_overlapping,
    max_pool_separate,
    max_unpool_overlapping,
    max_unpool_separate,
)
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import expect_room_for_image
from pixelwise.recipes.families.real_time.enet import ENetSpec

Size = tuple[int, int]

STRIDE = 8
"""Stride of the deepest features."""
SMALLEST_ANY_SIZE = 7
"""Smallest side that three halvings, the first of which rounds up, reduce to one row."""
INTERNAL_RATIO = 4
"""Channels of a block / channels of its convolutions between reduction and expansion."""
STEM_CHANNELS = 16
"""Channels of the initial block: the pooled image, and a convolution for the rest."""
DROPOUT_STAGE_1 = 0.01
DROPOUT = 0.1
DILATED_SEQUENCE = (1, 2, "asymmetric", 4, 1, 8, "asymmetric", 16)
"""Middle convolutions of bottleneck2.1 to 2.8 and of stage 3: a 3x3 of that dilation, or a 5x1 and a 1x5."""


class InitialBlock(nn.Module):
    """A strided convolution and a max pooling of the image, concatenated: (B, C, H, W) to (B, 16, H/2, W/2).

    Args:
        in_channels: Number of bands of the images, 1..15; the convolution computes the rest of the 16 channels.
    """

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        convolved = STEM_CHANNELS - in_channels
        self.conv = nn.Conv2d(in_channels, convolved, kernel_size=3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(STEM_CHANNELS)
        self.activation = PReLU()

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 16, ceil(H / 2), ceil(W / 2))."""
        pooled = F.max_pool2d(images, kernel_size=3, stride=2, padding=1)
        return self.activation(self.norm(torch.cat((self.conv(images), pooled), dim=1)))


class Bottleneck(nn.Module):
    """Residual block: reduce, convolve, expand, add to the input. Keeps size and channels.

    Args:
        channels: Input and output channels.
        middle: `asymmetric` for a 5x1 and a 1x5 convolution, or the dilation of one 3x3.
        dropout: Probability that a channel of the residual is dropped.
        activation: `PReLU` (encoder) or `nn.ReLU` (decoder).
    """

    def __init__(self, channels: int, middle: int | str, dropout: float, activation: type[nn.Module]) -> None:
        super().__init__()
        inner = channels // INTERNAL_RATIO
        self.reduce = ConvNormActivation(nn.Conv2d(channels, inner, kernel_size=1, bias=False), activation())
        if middle == "asymmetric":
            convs = [
                nn.Conv2d(inner, inner, kernel_size=(5, 1), padding=(2, 0), bias=False),
                nn.Conv2d(inner, inner, kernel_size=(1, 5), padding=(0, 2), bias=False),
            ]
        else:
            dilation = int(middle)
            convs = [nn.Conv2d(inner, inner, kernel_size=3, padding=dilation, dilation=dilation, bias=False)]
        self.middle = nn.Sequential(*(ConvNormActivation(conv, activation()) for conv in convs))
        self.expand = ConvNormActivation(nn.Conv2d(inner, channels, kernel_size=1, bias=False), activation())
        self.dropout = nn.Dropout2d(dropout)
        self.activation = activation()

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        extension = self.dropout(self.expand(self.middle(self.reduce(features))))
        return self.activation(features + extension)


class Downsampling(nn.Module):
    """Bottleneck that halves the size; its shortcut is max pooling, with channels of zeros appended."""

    def __init__(self, in_channels: int, out_channels: int, dropout: float, *, overlapping: bool) -> None:
        super().__init__()
        inner = in_channels // INTERNAL_RATIO
        self.pool = max_pool_overlapping if overlapping else max_pool_separate
        self.reduce = ConvNormActivation(nn.Conv2d(in_channels, inner, kernel_size=2, stride=2, bias=False), PReLU())
        self.middle = nn.Sequential(
            ConvNormActivation(nn.Conv2d(inner, inner, kernel_size=3, padding=1, bias=False), PReLU())
        )
        self.expand = ConvNormActivation(nn.Conv2d(inner, out_channels, kernel_size=1, bias=False), PReLU())
        self.dropout = nn.Dropout2d(dropout)
        self.activation = PReLU()

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) to (B, C', H // 2, W // 2) and the indices of the maxima, (B, C, H // 2, W // 2)."""
        pooled, indices = self.pool(features)
        extension = self.dropout(self.expand(self.middle(self.reduce(features))))
        new_channels = extension.shape[1] - pooled.shape[1]
        shortcut = F.pad(pooled, (0, 0, 0, 0, 0, new_channels))
        return self.activation(shortcut + extension), indices


class TransposedConvNormActivation(nn.Module):
    """Transposed convolution of stride 2 to a given size, batch normalisation, ReLU."""

    def __init__(self, channels: int, *, overlapping: bool) -> None:
        super().__init__()
        kernel_size, padding = (3, 1) if overlapping else (2, 0)
        self.conv = nn.ConvTranspose2d(channels, channels, kernel_size, stride=2, padding=padding, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.activation = nn.ReLU()

    def forward(self, features: Tensor, size: Size) -> Tensor:
        """(B, C, h, w) to (B, C, *size)."""
        return self.activation(self.norm(transposed_to(self.conv, features, size)))


class Upsampling(nn.Module):
    """Bottleneck that doubles the size; its shortcut is max unpooling with the indices of an earlier pooling."""

    def __init__(self, in_channels: int, out_channels: int, *, overlapping: bool) -> None:
        super().__init__()
        inner = in_channels // INTERNAL_RATIO
        self.unpool = max_unpool_overlapping if overlapping else max_unpool_separate
        self.main = ConvNormActivation(nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False), nn.Identity())
        self.reduce = ConvNormActivation(nn.Conv2d(in_channels, inner, kernel_size=1, bias=False), nn.ReLU())
        self.middle = TransposedConvNormActivation(inner, overlapping=overlapping)
        self.expand = ConvNormActivation(
            nn.Conv2d(inner, out_channels, kernel_size=1, bias=False),
            nn.ReLU() if overlapping else nn.Identity(),
        )
        self.dropout = nn.Dropout2d(DROPOUT)
        self.activation = nn.ReLU()

    def forward(self, features: Tensor, indices: Tensor, size: Size) -> Tensor:
        """(B, C, h, w) and the indices (B, C', h, w) to (B, C', *size)."""
        shortcut = self.unpool(self.main(features), indices, size)
        extension = self.dropout(self.expand(self.middle(self.reduce(features), size)))
        return self.activation(shortcut + extension)


class ENet(SegmentationModel):
    """Encoder of stride 8 that keeps its pooling indices, small decoder, logits at stride 1."""

    def __init__(self, spec: ENetSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        overlapping = spec.graph == "overlapping"
        self.overlapping = overlapping
        expect_room_for_image(spec.preprocessing.in_channels, STEM_CHANNELS)
        self.initial = InitialBlock(spec.preprocessing.in_channels)
        self.stage1 = nn.ModuleList(
            [
                Downsampling(STEM_CHANNELS, 64, DROPOUT_STAGE_1, overlapping=overlapping),
                *(Bottleneck(64, 1, DROPOUT_STAGE_1, PReLU) for _ in range(4)),
            ]
        )
        self.stage2 = nn.ModuleList(
            [
                Downsampling(64, 128, DROPOUT, overlapping=overlapping),
                *(Bottleneck(128, middle, DROPOUT, PReLU) for middle in DILATED_SEQUENCE),
            ]
        )
        self.stage3 = nn.ModuleList(Bottleneck(128, middle, DROPOUT, PReLU) for middle in DILATED_SEQUENCE)
        self.stage4 = nn.ModuleList(
            [
                Upsampling(128, 64, overlapping=overlapping),
                *(Bottleneck(64, 1, DROPOUT, nn.ReLU) for _ in range(2)),
            ]
        )
        self.stage5 = nn.ModuleList([Upsampling(64, 16, overlapping=overlapping), Bottleneck(16, 1, DROPOUT, nn.ReLU)])
        self.classifier = nn.ConvTranspose2d(16, self.num_classes, kernel_size=3, stride=2, padding=1, bias=False)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, H, W); there are no auxiliary heads."""
        height, width = images.shape[-2:]
        padded = pad_to(images, self._padded(height), self._padded(width))
        if self.training:
            padded = fastest_to_learn(padded)
        features, sizes, indices = self._encode(padded)
        for stage, size, places in zip((self.stage4, self.stage5), sizes, indices, strict=True):
            upsampling, *bottlenecks = stage
            features = upsampling(features, places, size)
            for bottleneck in bottlenecks:
                features = bottleneck(features)
        logits = transposed_to(self.classifier, features, _size(padded))
        return (logits[..., :height, :width],)

    def _encode(self, images: Tensor) -> tuple[Tensor, list[Size], list[Tensor]]:
        """Run stages 1 to 3: features (B, 128, H/8, W/8), and the sizes and indices for unpooling in stages 4 and 5."""
        features = self.initial(images)
        sizes: list[Size] = []
        indices: list[Tensor] = []
        for stage in (self.stage1, self.stage2):
            downsampling, *bottlenecks = stage
            sizes.insert(0, _size(features))
            features, places = downsampling(features)
            indices.insert(0, places)
            for bottleneck in bottlenecks:
                features = bottleneck(features)
        for bottleneck in self.stage3:
            features = bottleneck(features)
        return features, sizes, indices

    def _padded(self, length: int) -> int:
        return round_up(length, STRIDE) if self.overlapping else longer(length, SMALLEST_ANY_SIZE)


def _size(features: Tensor) -> Size:
    height, width = features.shape[-2:]
    return height, width


@builds(ENetSpec)
def build(spec: ENetSpec, classes: tuple[str, ...]) -> ENet:
    """ENet with PyTorch's default initial weights: the same as in the code base after the same seed."""
    return ENet(spec, classes)
