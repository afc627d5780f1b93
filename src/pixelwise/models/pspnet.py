"""PSPNet: Pyramid Scene Parsing Network.

Zhao, Shi, Qi, Wang, Jia 2017 (CVPR), arXiv:1612.01105. Reimplements sssegmentation's network (Apache-2.0);
mmsegmentation's (Apache-2.0) has the same graph with an auxiliary head of 256 channels instead of 512. The
encoders are timm's `resnet50c` and `resnet101c`, whose graph is that of both code bases: a stem of three
3x3 convolutions, strides in the 3x3 convolutions, and a first block of each dilated stage that keeps the
dilation of the stage before it.

Both differ from the paper's code: the pooled regions follow the size of the image, and the stem has 32, 32,
64 channels instead of 64, 64, 128. Deviations from sssegmentation: none.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pixelwise.backbones.building import build_encoder
from pixelwise.layers.heads import DROPOUT
from pixelwise.layers.pyramid_pooling import PyramidPooling
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import AUXILIARY_FEATURE, auxiliary_head, expect_positive, head_and_auxiliary, maps_read
from pixelwise.recipes.families.pspnet import PSPNetSpec


class PSPNet(SegmentationModel):
    """Encoder, pyramid pooling, classifier; logits at the stride of the coarsest features.

    Raises:
        RecipeError: R203, the head cannot be built on this encoder; R207, the encoder cannot be built.
    """

    def __init__(self, spec: PSPNetSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        expect_positive("bins", spec.bins, "the paper has [1, 2, 3, 6]")
        maps = maps_read(spec.auxiliary_channels, AUXILIARY_FEATURE)
        encoder = build_encoder(spec.encoder, spec.output_stride, maps=maps, in_channels=spec.preprocessing.in_channels)
        self.encoder = encoder
        self.pooling = PyramidPooling(encoder.channels[-1], spec.channels, spec.bins)
        self.dropout = nn.Dropout2d(DROPOUT)
        self.classifier = nn.Conv2d(spec.channels, self.num_classes, kernel_size=1)
        self.auxiliary = auxiliary_head(
            encoder, AUXILIARY_FEATURE, spec.auxiliary_channels, self.num_classes, nn.Dropout2d(DROPOUT)
        )

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits at the stride of the coarsest features; in training mode, those of an auxiliary head follow."""
        return head_and_auxiliary(self.encoder, images, self._classify, self.auxiliary if self.training else None)

    def _classify(self, features: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.pooling(features)))


@builds(PSPNetSpec)
def build(spec: PSPNetSpec, classes: tuple[str, ...]) -> PSPNet:
    """PSPNet with timm's initial weights in the encoder and PyTorch's in the heads."""
    return PSPNet(spec, classes)
