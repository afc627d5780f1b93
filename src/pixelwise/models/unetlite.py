"""UNetLite: TI's variant of U-Net (Ronneberger et al. 2015, arXiv:1505.04597) for embedded accelerators.

Reimplements TexasInstruments/edgeai-torchvision r8.2, `unet_aspp_*_edgeailite` (BSD-3-Clause): an ASPP of
grouped convolutions at stride 32, then, per scale, one grouped separable convolution on the concatenation of
the upsampled features and those of the encoder, up to stride 2.

Deviation, which changes no logit for inputs that the original accepts (multiples of 32): features are
upsampled to the size of the finer ones instead of by a fixed factor, so any image size works.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pixelwise.backbones.lite import LiteEncoder
from pixelwise.layers.lite import GroupedSeparableConv, LiteASPP, LitePrediction, initialise
from pixelwise.layers.resizing import resize_to
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.recipes.families.lite import UNetLiteSpec

FEWEST_CHANNELS = 32
"""Fewest channels of a decoder scale; twice the number of classes if that is more."""


class UNetLite(SegmentationModel):
    """ASPP at stride 32, then one decoder convolution at each of the strides 16, 8, 4, 2; logits at stride 2.

    Args:
        spec: Encoder and width of the ASPP.
        classes: Class names; their number also affects the width of the fine scales.

    Raises:
        RecipeError: R203, the widths do not fit the encoder's group size.
    """

    def __init__(self, spec: UNetLiteSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        self.encoder = LiteEncoder(spec.encoder, in_channels=spec.preprocessing.in_channels)
        group_size, activation = self.encoder.group_size, self.encoder.activation
        self.aspp = LiteASPP(self.encoder.channels[-1], spec.channels, group_size, activation)
        fewest = max(2 * self.num_classes, FEWEST_CHANNELS)
        skips = self.encoder.channels[-2::-1]
        widths = [spec.channels, *(max(skip, fewest) for skip in skips)]
        self.decoder = nn.ModuleList(
            GroupedSeparableConv(coarser + skip, finer, group_size, activation)
            for skip, (coarser, finer) in zip(skips, itertools.pairwise(widths), strict=True)
        )
        self.prediction = LitePrediction(widths[-1], self.num_classes, group_size)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / 2), ceil(W / 2)); there are no auxiliary heads."""
        *skips, coarsest = self.encoder(images)
        features = self.aspp(coarsest)
        for convolution, skip in zip(self.decoder, reversed(skips), strict=True):
            features = convolution(torch.cat((resize_to(features, skip), skip), dim=1))
        return (self.prediction(features),)


@builds(UNetLiteSpec)
def build(spec: UNetLiteSpec, classes: tuple[str, ...]) -> UNetLite:
    """UNetLite, initialised as the original without an ImageNet encoder."""
    model = UNetLite(spec, classes)
    initialise(model)
    return model
