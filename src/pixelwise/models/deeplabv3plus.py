"""DeepLabV3+: Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation.

Chen, Zhu, Papandreou, Schroff, Adam 2018 (ECCV), arXiv:1802.02611. Follows the paper; where it is
silent (ReLU after both halves of a separable convolution, dropout 0.1 after the pyramid pooling) its
code, tensorflow/models research/deeplab (Apache-2.0); written anew.

Deviations: the encoder is any that has features of stride 4, initial weights are He's
(arXiv:1502.01852), batch normalisation has PyTorch's eps and momentum, and nothing is interpolated
with aligned corners, which at PyTorch's padding would shift features against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from pixelwise.backbones.building import Encoder, build_encoder
from pixelwise.errors import RecipeError
from pixelwise.layers.aspp import ASPP, SeparableConv
from pixelwise.layers.convolutions import ConvNormActivation
from pixelwise.layers.heads import resize_to
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import crop_to_image, encode, index_of_stride
from pixelwise.recipes.specs import DeepLabV3PlusSpec

STRIDE = 4
"""Of the decoder and of the logits."""
ASPP_DROPOUT = 0.1


class DeepLabV3Plus(SegmentationModel):
    """Encoder, separable atrous pyramid pooling, a decoder that joins the features of stride 4; logits at stride 4.

    Args:
        spec: Encoder, pyramid pooling and decoder.
        classes: Class names.

    Raises:
        RecipeError: R203, a rate is not positive; R207, the encoder is unknown, cannot be one, or has
            no features of stride 4.
    """

    def __init__(self, spec: DeepLabV3PlusSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        if any(rate < 1 for rate in spec.rates):
            raise RecipeError(
                "R203",
                f"model.rates is {list(spec.rates)}; expected 1 or more each",
                "the paper has [6, 12, 18] at output stride 16 and [12, 24, 36] at 8",
            )
        encoder = cast("Encoder", build_encoder(spec.encoder, spec.output_stride))
        self.encoder = encoder
        self.low_level = index_of_stride(encoder, STRIDE, "DeepLabV3+")
        self.aspp = ASPP(encoder.channels[-1], spec.channels, spec.rates, separable=True, dropout=ASPP_DROPOUT)
        low_level_channels = encoder.channels[self.low_level]
        self.reduce = ConvNormActivation(
            nn.Conv2d(low_level_channels, spec.low_level_channels, kernel_size=1, bias=False), nn.ReLU()
        )
        self.decoder = nn.Sequential(
            SeparableConv(spec.channels + spec.low_level_channels, spec.channels),
            SeparableConv(spec.channels, spec.channels),
        )
        self.classifier = nn.Conv2d(spec.channels, self.num_classes, kernel_size=1)
        for part in (self.aspp, self.reduce, self.decoder):
            _initialise(part)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """The logits, (B, K, ceil(H / 4), ceil(W / 4)), alone."""
        features = encode(self.encoder, images)
        low_level = self.reduce(features[self.low_level])
        coarse = resize_to(self.aspp(features[-1]), low_level)
        logits = self.classifier(self.decoder(torch.cat((coarse, low_level), dim=1)))
        return (crop_to_image(logits, images, STRIDE),)


def _initialise(part: nn.Module) -> None:
    for module in part.modules():
        if isinstance(module, nn.Conv2d):
            # Fan in, as the depthwise convolutions' fan out is not what PyTorch takes it for.
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")


@builds(DeepLabV3PlusSpec)
def build(spec: DeepLabV3PlusSpec, classes: tuple[str, ...]) -> DeepLabV3Plus:
    """DeepLabV3+ with the encoder's own initial weights and He's in the decoder."""
    return DeepLabV3Plus(spec, classes)
