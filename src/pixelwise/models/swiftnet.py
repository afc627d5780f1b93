"""SwiftNet: In Defense of Pre-trained ImageNet Architectures for Real-time Semantic Segmentation.

Orsic, Kreso, Bevandic, Segvic, CVPR 2019, arXiv:1903.08469; the single-scale network: a pretrained
classification network as encoder, pyramid pooling on its coarsest features, and a light decoder up to stride
4 that adds the encoder's features. Outside the encoder, normalisation and ReLU precede each convolution.

With ResNet-18 the graph is known from the authors' code (orsic/swiftnet, without a licence; only facts are
used): 128 channels everywhere, 42 per pooled grid, grids of 8, 4 and 2 rows and as many columns as keep the
cells square, momentum 0.005 in the normalisations of the pooling. It has 11,797,071 parameters and 103.566
GMACs at 1024x2048 with 19 outputs, like that code; the paper reports 11.8M and 104.0.

With MobileNetV2 the graph is reconstructed, as no code is public. The same decoder on the last maps of
strides 4, 8, 16 and 32 (24, 32, 96 and 320 channels) has 2,368,831 parameters (the paper reports 2.4M) and
38.154 GMACs (the paper reports 41.0).

The decoder adds the features after the last ReLU of each stage. The paper argues for those before it, and
the authors' code returns them; but its ReLU works in place and rectifies them after all, so this is what
their network computes.

Initial weights: He's with fan-out; PyTorch's default ones in the classifier.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pixelwise.backbones.timm import TimmEncoder
from pixelwise.layers.convolutions import NormActivationConv
from pixelwise.layers.initialisation import he_normal
from pixelwise.layers.pooling import grid_means
from pixelwise.layers.resizing import resize_to
from pixelwise.layers.sizes import longer, shorter
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import crop_to_image, encode
from pixelwise.recipes.families.real_time.swiftnet import SwiftNetSpec

CHANNELS = 128
GRIDS = (8, 4, 2)
"""Rows of the grids of the pyramid pooling."""
POOLING_MOMENTUM = 0.005
"""Momentum of the normalisations in the pyramid pooling."""
STRIDE = 4
SCALES = (1, 2, 3, 4)
"""timm's indices of the feature maps of strides 4 to 32."""


class SquarePyramidPooling(nn.Module):
    """Means over grids of nearly square cells, concatenated with the features."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        per_grid = CHANNELS // len(GRIDS)
        joined = CHANNELS + len(GRIDS) * per_grid
        self.reduce = NormActivationConv(in_channels, CHANNELS, momentum=POOLING_MOMENTUM)
        self.grids = nn.ModuleList(NormActivationConv(CHANNELS, per_grid, momentum=POOLING_MOMENTUM) for _ in GRIDS)
        self.fuse = NormActivationConv(joined, CHANNELS, momentum=POOLING_MOMENTUM)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 128, H, W)."""
        reduced = self.reduce(features)
        height, width = reduced.shape[-2:]
        levels = [reduced]
        for rows, conv in zip(GRIDS, self.grids, strict=True):
            columns = square_columns(height, width, rows)
            levels.append(resize_to(conv(grid_means(reduced, rows, columns)), reduced))
        return self.fuse(torch.cat(levels, dim=1))


def square_columns(height: int, width: int, rows: int) -> int:
    """The number of columns that makes the cells of a grid nearly square: `round(width / height * rows)`, at least 1.

    Computed in integers, so that it can be exported for any size; like `round`, it rounds halves to even.
    """
    doubled = 2 * width * rows + height
    halves_up, rest = doubled // (2 * height), doubled % (2 * height)
    exact_half = 1 - shorter(rest, 1)
    return longer(halves_up - exact_half * (halves_up % 2), 1)


class Upsampling(nn.Module):
    """Upsampling to the size of the encoder's features, their sum, and a 3x3 convolution.

    Args:
        skip_channels: Channels of the encoder's features.
    """

    def __init__(self, skip_channels: int) -> None:
        super().__init__()
        self.skip = NormActivationConv(skip_channels, CHANNELS)
        self.blend = NormActivationConv(CHANNELS, CHANNELS, kernel_size=3)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """(B, 128, h, w) and (B, S, H, W) to (B, 128, H, W)."""
        skip = self.skip(skip)
        return self.blend(resize_to(features, skip) + skip)


class SwiftNet(SegmentationModel):
    """Encoder, pyramid pooling, three upsampling steps; logits at stride 4."""

    def __init__(self, spec: SwiftNetSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        channels = spec.preprocessing.in_channels
        if spec.encoder == "resnet18":
            # Unlike timm's default, the authors' code does not start the last normalisation of each block at zero.
            self.encoder = TimmEncoder("resnet18", in_channels=channels, out_indices=SCALES, zero_init_last=False)
        else:
            self.encoder = TimmEncoder(spec.encoder, in_channels=channels, out_indices=SCALES)
        *skips, coarsest = self.encoder.channels
        self.pooling = SquarePyramidPooling(coarsest)
        self.decoder = nn.ModuleList(Upsampling(channels) for channels in reversed(skips))
        for module in (self.pooling, self.decoder):
            he_normal(module)
        self.classifier = NormActivationConv(CHANNELS, self.num_classes, bias=True)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / 4), ceil(W / 4)); there are no auxiliary heads."""
        *skips, coarsest = encode(self.encoder, images)
        features = self.pooling(coarsest)
        for upsampling, skip in zip(self.decoder, reversed(skips), strict=True):
            features = upsampling(features, skip)
        return (crop_to_image(self.classifier(features), images, STRIDE),)


@builds(SwiftNetSpec)
def build(spec: SwiftNetSpec, classes: tuple[str, ...]) -> SwiftNet:
    """SwiftNet with random initial weights."""
    return SwiftNet(spec, classes)
