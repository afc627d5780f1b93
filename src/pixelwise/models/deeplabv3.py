"""DeepLabV3: Rethinking Atrous Convolution for Semantic Image Segmentation.

Chen, Papandreou, Schroff, Adam 2017, arXiv:1706.05587. Reimplements torchvision's network (BSD-3-Clause),
which differs from the paper in three points: one more 3x3 convolution before the classifier, the rates
12, 24, 36 at every output stride, and an auxiliary head.

Deviation: timm initialises a ResNet differently from torchvision: the last normalisation of each residual
block starts at 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pixelwise.backbones.building import build_encoder
from pixelwise.layers.aspp import ASPP
from pixelwise.layers.heads import DROPOUT, ConvolutionalHead
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import auxiliary_head, expect_positive, head_and_auxiliary, maps_read
from pixelwise.recipes.families.deeplabv3 import DeepLabV3Spec

ASPP_DROPOUT = 0.5


class DeepLabV3(SegmentationModel):
    """Encoder, atrous spatial pyramid pooling, a 3x3 convolution, classifier.

    The logits have the stride of the coarsest features.

    Raises:
        RecipeError: R203, the head cannot be built on this encoder; R207, the encoder cannot be built.
    """

    def __init__(self, spec: DeepLabV3Spec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        expect_positive("rates", spec.rates, "torchvision has [12, 24, 36]")
        maps = maps_read(spec.auxiliary_channels, spec.auxiliary_feature)
        encoder = build_encoder(spec.encoder, spec.output_stride, maps=maps, in_channels=spec.preprocessing.in_channels)
        self.encoder = encoder
        self.auxiliary_feature = spec.auxiliary_feature
        self.aspp = ASPP(encoder.channels[-1], spec.channels, spec.rates, dropout=ASPP_DROPOUT)
        self.head = ConvolutionalHead(spec.channels, spec.channels, 1, self.num_classes, nn.Identity())
        self.auxiliary = auxiliary_head(
            encoder, spec.auxiliary_feature, spec.auxiliary_channels, self.num_classes, nn.Dropout(DROPOUT)
        )

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits at the stride of the coarsest features; in training mode, those of an auxiliary head follow."""
        auxiliary = self.auxiliary if self.training else None
        return head_and_auxiliary(self.encoder, images, self._classify, auxiliary, self.auxiliary_feature)

    def _classify(self, features: Tensor) -> Tensor:
        return self.head(self.aspp(features))


@builds(DeepLabV3Spec)
def build(spec: DeepLabV3Spec, classes: tuple[str, ...]) -> DeepLabV3:
    """DeepLabV3 with the encoder's default initial weights, and PyTorch's in the heads."""
    return DeepLabV3(spec, classes)
