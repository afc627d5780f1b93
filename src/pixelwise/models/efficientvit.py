"""EfficientViT-Seg: three scales of the encoder, added up at stride 8, and a few residual blocks.

Cai et al., ICCV 2023, arXiv:2205.14756. Implemented after the authors' code (mit-han-lab/efficientvit@de7d773,
Apache-2.0). Each scale is projected to the same channels by a 1x1 convolution with normalisation, enlarged by bicubic
interpolation to stride 8 and added to the others. The head of the published `b` networks has inverted bottlenecks with
hard swish, that of the `l` networks fused ones with GELU (its tanh approximation) and 1e-7 as the epsilon of all
normalisations.

Deviations: any encoder can be used. Sides that are not multiples of 32, which the original refuses, are rounded up at
every stride. Logits are enlarged bilinearly to the image; the original's evaluation enlarges them by bicubic
interpolation. Initial weights of the head: PyTorch's defaults, because the authors' are unpublished.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from pixelwise.backbones.building import build_encoder
from pixelwise.layers.convolutions import ConvNormActivation
from pixelwise.layers.resizing import enlarge_smoothly
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import crop_to_image, encode, expect_positive, index_of_stride
from pixelwise.recipes.families.efficientvit import EfficientViTSegSpec

STRIDES = (32, 16, 8)
"""Strides of the scales, in the order in which they are added up."""


class _Series(NamedTuple):
    """What the heads of a series of networks have in common.

    Attributes:
        fused: Whether one 3x3 convolution replaces the 1x1 and the depthwise one at the start of a block.
        activation: Makes the activation between convolutions.
        eps: Epsilon of the normalisations.
    """

    fused: bool
    activation: Callable[[], nn.Module]
    eps: float

    def layer(self, in_channels: int, channels: int, kernel_size: int = 1, groups: int = 1) -> ConvNormActivation:
        """A convolution with normalisation and activation."""
        return _normalised(in_channels, channels, self.activation(), self.eps, kernel_size, groups)

    def linear(self, in_channels: int, channels: int) -> ConvNormActivation:
        """A 1x1 convolution with normalisation."""
        return _normalised(in_channels, channels, nn.Identity(), self.eps)


SERIES = {
    "b": _Series(fused=False, activation=nn.Hardswish, eps=1e-5),
    "l": _Series(fused=True, activation=partial(nn.GELU, approximate="tanh"), eps=1e-7),
}


def _normalised(
    in_channels: int, channels: int, activation: nn.Module, eps: float, kernel_size: int = 1, groups: int = 1
) -> ConvNormActivation:
    conv = nn.Conv2d(in_channels, channels, kernel_size, padding=kernel_size // 2, groups=groups, bias=False)
    return ConvNormActivation(conv, activation, eps=eps)


class Block(nn.Module):
    """A bottleneck whose inside is wider than its ends, added to its input.

    Args:
        channels: Channels of input and output.
        inner: Channels inside.
        series: Kind of convolutions, activation and epsilon.
    """

    def __init__(self, channels: int, inner: int, series: _Series) -> None:
        super().__init__()
        if series.fused:
            layers = [series.layer(channels, inner, 3)]
        else:
            layers = [series.layer(channels, inner), series.layer(inner, inner, 3, groups=inner)]
        self.layers = nn.Sequential(*layers, series.linear(inner, channels))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) float to the same shape."""
        return self.layers(features) + features


class EfficientViTSeg(SegmentationModel):
    """Encoder, projections, residual blocks, classifier; logits at stride 8.

    Raises:
        RecipeError: R203, a width or depth is out of range; R207, the encoder is unknown, or lacks a feature map of
            stride 8, 16 or 32.
    """

    def __init__(self, spec: EfficientViTSegSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        published = "the published networks have channels 32..256, depth 1..5, expansion 1 or 4, final_expansion 0..8"
        expect_positive("channels", (spec.channels,), published)
        expect_positive("depth", (spec.depth,), published)
        expect_positive("expansion", (spec.expansion,), published)
        if spec.final_expansion:
            expect_positive("final_expansion", (spec.final_expansion,), f"0 leaves the convolution out; {published}")
        self.encoder = build_encoder(spec.encoder, in_channels=spec.preprocessing.in_channels)
        self.scales = tuple(index_of_stride(self.encoder, stride, "efficientvit-seg") for stride in STRIDES)
        series, channels = SERIES[spec.series], spec.channels
        self.projections = nn.ModuleList(series.linear(self.encoder.channels[at], channels) for at in self.scales)
        self.blocks = nn.Sequential(*(Block(channels, spec.expansion * channels, series) for _ in range(spec.depth)))
        widened = (spec.final_expansion or 1) * channels
        self.widen = series.layer(channels, widened) if spec.final_expansion else nn.Identity()
        self.classifier = nn.Conv2d(widened, self.num_classes, kernel_size=1)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / 8), ceil(W / 8)); there are no auxiliary heads."""
        features = encode(self.encoder, images)
        coarsest, middle, finest = (
            project(features[at]) for project, at in zip(self.projections, self.scales, strict=True)
        )
        total = enlarge_smoothly(coarsest, finest) + enlarge_smoothly(middle, finest) + finest
        logits = self.classifier(self.widen(self.blocks(total)))
        return (crop_to_image(logits, images, STRIDES[-1]),)


@builds(EfficientViTSegSpec)
def build(spec: EfficientViTSegSpec, classes: tuple[str, ...]) -> EfficientViTSeg:
    """EfficientViT-Seg with random initial weights."""
    return EfficientViTSeg(spec, classes)
