"""PIDNet: A Real-time Semantic Segmentation Network Inspired by PID Controllers.

Xu, Xiong, Bhattacharyya, CVPR 2023, arXiv:2206.02066. Implemented after the authors' code (XuJiacong/PIDNet@4c158cf,
MIT), whose graph differs from the paper's in places. Three branches share the stem up to stride 8: the integral one
goes on to stride 64 and gathers context, the proportional one keeps stride 8 and details, the derivative one finds the
boundaries between classes, which decide at each pixel which of the other two counts.

The proportional branch has an auxiliary head, the derivative one the boundary head (`boundary_head`); both read their
features after a ReLU, because the authors' ReLU works in place and has rectified them by then.

Features are resized without aligned corners inside the network; the logits are enlarged with aligned corners, as in the
authors' training and evaluation. Initial weights: He's with fan-out; biases are PyTorch's defaults.

Deviation: images whose sides are not multiples of 8, which the original refuses, are processed without padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.layers.context_pooling import DAPPM, PAPPM, TRACED_SIZE
from pixelwise.layers.convolutions import ConvNormActivation, NormActivationConv
from pixelwise.layers.initialisation import he_normal
from pixelwise.layers.residual import BasicBlock, Bottleneck, basic_stage, normalized_conv
from pixelwise.layers.resizing import resize_to
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.recipes.families.real_time.pidnet import PIDNetSpec


class Variant(NamedTuple):
    """Size of a network.

    Attributes:
        width: Channels of the stem.
        short: Blocks of the stages up to stride 8, and of those of the proportional branch.
        long: Blocks of the integral branch's stages of strides 16 and 32.
        pooled: Channels of each scale of the context pooling.
        head: Channels of the heads for classes.
        large: Whether the derivative branch, the pooling and the fusion are those of the large network.
    """

    width: int
    short: int
    long: int
    pooled: int
    head: int
    large: bool = False


VARIANTS = {
    "s": Variant(32, 2, 3, 96, 128),
    "m": Variant(64, 2, 3, 96, 128),
    "l": Variant(64, 3, 4, 112, 256, large=True),
}


def double_stem(in_channels: int, channels: int) -> nn.Sequential:
    """Two 3x3 convolutions of stride 2 with biases, each with normalisation and ReLU."""
    return nn.Sequential(
        *(
            ConvNormActivation(nn.Conv2d(width, channels, kernel_size=3, stride=2, padding=1), nn.ReLU())
            for width in (in_channels, channels)
        )
    )


class Head(nn.Module):
    """Normalisation, ReLU and a 3x3 convolution, then the same with a 1x1 classifier.

    Args:
        in_channels: Channels of the features.
        channels: Channels between the convolutions.
        outputs: Number of outputs.
    """

    def __init__(self, in_channels: int, channels: int, outputs: int) -> None:
        super().__init__()
        self.mix = NormActivationConv(in_channels, channels, 3)
        self.classifier = NormActivationConv(channels, outputs, bias=True)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) float to logits (B, outputs, h, w)."""
        return self.classifier(self.mix(features))


class PixelAttention(nn.Module):
    """Pag: each pixel takes as much of the context as the context resembles it.

    Args:
        channels: Channels of details, context and the result.
        key_channels: Channels in which the two are compared.
    """

    def __init__(self, channels: int, key_channels: int) -> None:
        super().__init__()
        self.of_details = normalized_conv(channels, key_channels)
        self.of_context = normalized_conv(channels, key_channels)

    def forward(self, details: Tensor, context: Tensor) -> Tensor:
        """Details (B, C, H, W) and context (B, C, h, w) to (B, C, H, W)."""
        key = resize_to(self.of_context(context), details)
        similarity = torch.sigmoid((self.of_details(details) * key).sum(dim=1, keepdim=True))
        return (1 - similarity) * details + similarity * resize_to(context, details)


class Bag(nn.Module):
    """Details where the boundary attention is high, context elsewhere, convolved: the fusion of the large network."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = NormActivationConv(channels, channels, 3)

    def forward(self, details: Tensor, context: Tensor, boundaries: Tensor) -> Tensor:
        """Three maps (B, C, H, W) to one."""
        attention = torch.sigmoid(boundaries)
        return self.mix(attention * details + (1 - attention) * context)


class LightBag(nn.Module):
    """Details and context, each with the other's part, through pointwise convolutions: the fusion of small networks."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.of_details = normalized_conv(channels, channels)
        self.of_context = normalized_conv(channels, channels)

    def forward(self, details: Tensor, context: Tensor, boundaries: Tensor) -> Tensor:
        """Three maps (B, C, H, W) to one."""
        attention = torch.sigmoid(boundaries)
        return self.of_details((1 - attention) * context + details) + self.of_context(context + attention * details)


class PIDNet(SegmentationModel):
    """Stem, three branches, fusion; logits at stride 8.

    Attributes:
        auxiliary: Head of the proportional branch.
        boundary: Boundary head, one output.
        head: Main head.
    """

    align_corners = True
    traced_size = TRACED_SIZE

    def __init__(self, spec: PIDNetSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        size = VARIANTS[spec.variant]
        width, short, long = size.width, size.short, size.long
        # Stem, shared by the three branches.
        self.stem = double_stem(spec.preprocessing.in_channels, width)
        self.stage4 = basic_stage(width, width, short)
        self.stage8 = basic_stage(width, 2 * width, short, stride=2)
        # Integral branch.
        self.stage16 = basic_stage(2 * width, 4 * width, long, stride=2)
        self.stage32 = basic_stage(4 * width, 8 * width, long, stride=2)
        self.stage64 = nn.Sequential(Bottleneck(8 * width, 8 * width, stride=2), Bottleneck(16 * width, 8 * width))
        self.pooling = (DAPPM if size.large else PAPPM)(16 * width, size.pooled, 4 * width)
        # Proportional branch.
        self.details = nn.ModuleList(basic_stage(2 * width, 2 * width, short) for _ in range(2))
        self.compress = nn.ModuleList(normalized_conv(channels * width, 2 * width) for channels in (4, 8))
        self.attention = nn.ModuleList(PixelAttention(2 * width, width) for _ in range(2))
        self.last_details = Bottleneck(2 * width, 2 * width)
        # Derivative branch.
        narrow = 2 * width if size.large else width
        self.boundaries = nn.ModuleList(
            (
                BasicBlock(2 * width, narrow, activated=False),
                BasicBlock(narrow, narrow, activated=False) if size.large else Bottleneck(narrow, narrow),
            )
        )
        self.differences = nn.ModuleList(
            (normalized_conv(4 * width, narrow, 3), normalized_conv(8 * width, 2 * width, 3))
        )
        self.last_boundaries = Bottleneck(2 * width, 2 * width)
        # Heads.
        self.auxiliary = Head(2 * width, size.head, self.num_classes)
        self.boundary = Head(2 * width, width, 1)
        self.fusion = (Bag if size.large else LightBag)(4 * width)
        self.head = Head(4 * width, size.head, self.num_classes)
        he_normal(self, biases=False)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / 8), ceil(W / 8)).

        In training mode, those of the proportional branch follow, and last the logits of boundaries,
        (B, 1, ceil(H / 8), ceil(W / 8)).
        """
        context = F.relu(self.stage8(F.relu(self.stage4(self.stem(images)))))
        details, boundaries = context, context
        heads: list[Tensor] = []
        for place, stage in enumerate((self.stage16, self.stage32)):
            details = self.details[place](details)
            boundaries = self.boundaries[place](boundaries)
            context = F.relu(stage(context))
            details = F.relu(self.attention[place](details, self.compress[place](context)))
            boundaries = F.relu(boundaries + resize_to(self.differences[place](context), boundaries))
            if self.training:
                heads.append(self.boundary(boundaries) if place else self.auxiliary(details))
        details = self.last_details(details)
        boundaries = self.last_boundaries(boundaries)
        context = resize_to(self.pooling(self.stage64(context)), details)
        return (self.head(self.fusion(details, context, boundaries)), *heads)


@builds(PIDNetSpec)
def build(spec: PIDNetSpec, classes: tuple[str, ...]) -> PIDNet:
    """PIDNet with random initial weights."""
    return PIDNet(spec, classes)
