"""Semantic FPN: a feature pyramid whose scales are upsampled to stride 4 and summed.

Kirillov et al., CVPR 2019, arXiv:1901.02446 ("Panoptic Feature Pyramid Networks", the semantic branch).
Follows the paper and its reference implementation (detectron2, Apache-2.0): 1x1 lateral and 3x3 smoothing
convolutions with bias and without normalisation; per scale, a branch of as many blocks (3x3 convolution,
group normalisation with 32 groups, ReLU, upsampling by 2) as lead from its stride to 4, or one block
without upsampling at stride 4; the sum of the branches; a 1x1 classifier. There is no dropout.

Deviations: any encoder can be used; feature maps finer than stride 4 are not used, and an encoder whose
finest map is coarser than that determines the stride. Maps are upsampled to the size of the next finer
one, so any image size works: by nearest neighbour in the top-down path, bilinearly in the branches. Where
32 groups do not divide the channels of a branch into two or more each, there are fewer groups.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.building import build_encoder
from pixelwise.layers.initialisation import he_normal
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import Size, crop_to_image, encode, size_at
from pixelwise.recipes.families.fpn import FPNSpec

FINEST = 4
"""Feature maps finer than this stride are not used."""
GROUPS = 32


class FeaturePyramid(nn.Module):
    """Lateral convolutions, the top-down path, smoothing convolutions.

    Args:
        in_channels: Channels of each feature map of the encoder, from fine to coarse.
        channels: Channels of every map of the pyramid.
    """

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(he_normal(nn.Conv2d(inputs, channels, kernel_size=1)) for inputs in in_channels)
        self.smoothing = nn.ModuleList(
            he_normal(nn.Conv2d(channels, channels, kernel_size=3, padding=1)) for _ in in_channels
        )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """One (B, C, H, W) per scale, from fine to coarse, to one (B, C', H, W) of the same size each."""
        merged: list[Tensor] = []
        for lateral, scale in zip(reversed(self.laterals), reversed(features), strict=True):
            here = lateral(scale)
            if merged:
                here = here + F.interpolate(merged[-1], size=here.shape[-2:], mode="nearest")
            merged.append(here)
        return [smooth(scale) for smooth, scale in zip(self.smoothing, reversed(merged), strict=True)]


class SemanticBranch(nn.Module):
    """Convolutions that bring one scale of the pyramid to the size of the finest, doubling its size step by step.

    Args:
        in_channels: Channels of the pyramid.
        channels: Output channels.
        doublings: Number of doublings from the stride of this scale to the finest.
    """

    def __init__(self, in_channels: int, channels: int, doublings: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                he_normal(nn.Conv2d(inputs, channels, kernel_size=3, padding=1, bias=False)),
                nn.GroupNorm(_groups(channels), channels),
                nn.ReLU(),
            )
            for inputs in (in_channels, *(channels,) * (doublings - 1))
        )

    def forward(self, features: Tensor, sizes: Sequence[Size]) -> Tensor:
        """(B, C, h, w) to (B, C', H, W).

        Args:
            features: Feature map of this scale.
            sizes: One (height, width) per doubling.
        """
        if not sizes:
            return self.blocks[0](features)
        for block, size in zip(self.blocks, sizes, strict=True):
            features = F.interpolate(block(features), size=size, mode="bilinear", align_corners=False)
        return features


class FPN(SegmentationModel):
    """Encoder, feature pyramid, summed branches; logits at stride 4, or the encoder's finest if that is coarser.

    Raises:
        RecipeError: R207, the encoder is unknown or cannot be built.
    """

    def __init__(self, spec: FPNSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        encoder = build_encoder(spec.encoder, in_channels=spec.preprocessing.in_channels)
        self.encoder = encoder
        # The coarsest map is always used.
        self.finer = min(sum(stride < FINEST for stride in encoder.strides), len(encoder.strides) - 1)
        strides = encoder.strides[self.finer :]
        self.stride: int = strides[0]
        self.pyramid = FeaturePyramid(encoder.channels[self.finer :], spec.channels)
        self.doublings: tuple[int, ...] = tuple((stride // self.stride).bit_length() - 1 for stride in strides)
        self.branches = nn.ModuleList(
            SemanticBranch(spec.channels, spec.head_channels, doublings) for doublings in self.doublings
        )
        self.classifier = he_normal(nn.Conv2d(spec.head_channels, self.num_classes, kernel_size=1))

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / s), ceil(W / s)) at stride s; there are no auxiliary heads."""
        pyramid = self.pyramid(encode(self.encoder, images)[self.finer :])
        # From fine to coarse, at the stride of every doubling, whether or not the encoder has a map of it.
        sizes = [size_at(pyramid[0], 2**doubling) for doubling in range(max(self.doublings))]
        summed = sum(
            branch(scale, sizes[:doublings][::-1])
            for branch, scale, doublings in zip(self.branches, pyramid, self.doublings, strict=True)
        )
        return (crop_to_image(self.classifier(summed), images, self.stride),)


def _groups(channels: int) -> int:
    # In a map of one pixel, a group of one channel would have a single value and no variance.
    return 1 if channels % 2 else math.gcd(GROUPS, channels // 2)


@builds(FPNSpec)
def build(spec: FPNSpec, classes: tuple[str, ...]) -> FPN:
    """Semantic FPN with the encoder's default initial weights, and He's in the rest."""
    return FPN(spec, classes)
