"""DeepLabV3+: Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation.

Chen, Zhu, Papandreou, Schroff, Adam 2018 (ECCV), arXiv:1802.02611. Implemented from the paper; details
that it leaves open (ReLU after both halves of a separable convolution, dropout 0.1 after the pyramid
pooling) are taken from its code, tensorflow/models research/deeplab (Apache-2.0).

Deviations: any encoder with features of stride 4 can be used, initial weights are He's
(arXiv:1502.01852), batch normalisation has PyTorch's eps and momentum, and corners are never aligned in
interpolation, because with PyTorch's padding that would shift feature maps against each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pixelwise.backbones.building import build_encoder
from pixelwise.layers.deeplab_decoder import DeepLabDecoder
from pixelwise.layers.initialisation import he_normal
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import crop_to_image, encode, expect_positive, index_of_stride
from pixelwise.recipes.families.deeplabv3plus import DeepLabV3PlusSpec

STRIDE = 4
"""Stride of the decoder and of the logits."""


class DeepLabV3Plus(SegmentationModel):
    """Encoder, separable atrous pyramid pooling, a decoder that joins the features of stride 4; logits at stride 4.

    Raises:
        RecipeError: R203, a rate is not positive; R207, the encoder is unknown, cannot be built, or has
            no features of stride 4.
    """

    def __init__(self, spec: DeepLabV3PlusSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        expect_positive("rates", spec.rates, "the paper has [6, 12, 18] at output stride 16 and [12, 24, 36] at 8")
        encoder = build_encoder(spec.encoder, spec.output_stride, in_channels=spec.preprocessing.in_channels)
        self.encoder = encoder
        self.low_level = index_of_stride(encoder, STRIDE, "DeepLabV3+")
        self.head = DeepLabDecoder(
            encoder.channels[self.low_level],
            encoder.channels[-1],
            spec.rates,
            self.num_classes,
            channels=spec.channels,
            low_level_channels=spec.low_level_channels,
        )
        for part in (self.head.aspp, self.head.reduce, self.head.decoder):
            # Fan-in, because PyTorch computes a wrong fan-out for depthwise convolutions.
            he_normal(part, "fan_in")

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / 4), ceil(W / 4)); there are no auxiliary heads."""
        features = encode(self.encoder, images)
        logits = self.head(features[self.low_level], features[-1])
        return (crop_to_image(logits, images, STRIDE),)


@builds(DeepLabV3PlusSpec)
def build(spec: DeepLabV3PlusSpec, classes: tuple[str, ...]) -> DeepLabV3Plus:
    """DeepLabV3+ with the encoder's default initial weights, and He's in the decoder."""
    return DeepLabV3Plus(spec, classes)
