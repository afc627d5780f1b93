"""DeepLabV3Lite: TI's variant of DeepLabV3+ (Chen et al. 2018, arXiv:1802.02611) for embedded accelerators.

Reimplements TexasInstruments/edgeai-torchvision r8.2, `deeplabv3plus_*_edgeailite` (BSD-3-Clause). Like
the original, it differs from DeepLabV3+ in three points: an encoder of stride 16 without dilation, an ASPP
of grouped convolutions without image pooling, and a decoder that is a single grouped separable
convolution, the classifier.

Deviation, which changes no logit for inputs that the original accepts (multiples of 16): features are
upsampled to the size of the finer ones instead of by a fixed factor, so any image size works.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pixelwise.backbones.lite import LiteEncoder
from pixelwise.layers.lite import LiteASPP, LitePrediction, initialise, pointwise
from pixelwise.layers.resizing import resize_to
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.recipes.families.lite import DeepLabV3LiteSpec

FINE = 1
"""Index of the feature map that the shortcut reads, the one of stride 4."""
SHORTCUT_CHANNELS = {"mobilenetv2_140": 64}
"""Encoder -> channels to which that feature map is reduced, where it is not 48."""


class DeepLabV3Lite(SegmentationModel):
    """ASPP at stride 16, joined with a shortcut at stride 4; logits at stride 4.

    Raises:
        RecipeError: R203, the width does not fit the encoder's group size.
    """

    def __init__(self, spec: DeepLabV3LiteSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        self.encoder = LiteEncoder(spec.encoder, output_stride=16, in_channels=spec.preprocessing.in_channels)
        group_size, activation = self.encoder.group_size, self.encoder.activation
        reduced = SHORTCUT_CHANNELS.get(spec.encoder, 48)
        self.aspp = LiteASPP(self.encoder.channels[-1], spec.channels, group_size, activation)
        self.shortcut = pointwise(self.encoder.channels[FINE], reduced, activation)
        self.prediction = LitePrediction(spec.channels + reduced, self.num_classes, group_size)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / 4), ceil(W / 4)); there are no auxiliary heads."""
        encoded = self.encoder(images)
        shortcut = self.shortcut(encoded[FINE])
        features = resize_to(self.aspp(encoded[-1]), shortcut)
        return (self.prediction(torch.cat((features, shortcut), dim=1)),)


@builds(DeepLabV3LiteSpec)
def build(spec: DeepLabV3LiteSpec, classes: tuple[str, ...]) -> DeepLabV3Lite:
    """DeepLabV3Lite, initialised as the original without an ImageNet encoder."""
    model = DeepLabV3Lite(spec, classes)
    initialise(model)
    return model
