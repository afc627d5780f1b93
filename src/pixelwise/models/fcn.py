"""FCN: Fully Convolutional Networks for Semantic Segmentation.

Long, Shelhamer, Darrell 2015 (CVPR), arXiv:1411.4038: convolutions and a classifier on the coarsest
features. There are no skip connections: this is the FCN of current benchmark tables, on a dilated encoder.

The networks of two code bases are reimplemented:

=========================  ====================================  ============================
                           sssegmentation (Apache-2.0)           torchvision (BSD-3-Clause)
`FCNSpec.convolutions`     2                                     1
dropout, p = 0.1           drops whole channels                  drops single elements
encoder                    `resnet50c`: a stem of three 3x3      `resnet50`
auxiliary head             512 channels                          256 channels
=========================  ====================================  ============================

The number of convolutions decides the kind of dropout. The encoders are timm's, which have the same graph:
strides are in the 3x3 convolutions, and the first block of a dilated stage keeps the dilation of the stage
before it.

Deviation: timm initialises the encoder differently from torchvision: the last normalisation of each
residual block starts at 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pixelwise.backbones.building import build_encoder
from pixelwise.errors import RecipeError
from pixelwise.layers.heads import DROPOUT, ConvolutionalHead
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import AUXILIARY_FEATURE, auxiliary_head, head_and_auxiliary, maps_read
from pixelwise.recipes.families.fcn import FCNSpec


class FCN(SegmentationModel):
    """Encoder, 3x3 convolutions, classifier; logits at the stride of the coarsest features.

    Raises:
        RecipeError: R203, the head cannot be built on this encoder; R207, the encoder cannot be built.
    """

    def __init__(self, spec: FCNSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        if spec.convolutions < 0:
            raise RecipeError(
                "R203",
                f"model.convolutions is {spec.convolutions}; expected 0 or more",
                "use 1 for torchvision's head, 2 for sssegmentation's",
            )
        maps = maps_read(spec.auxiliary_channels, AUXILIARY_FEATURE)
        encoder = build_encoder(spec.encoder, spec.output_stride, maps=maps, in_channels=spec.preprocessing.in_channels)
        self.encoder = encoder
        dropout = nn.Dropout if spec.convolutions == 1 else nn.Dropout2d
        self.head = ConvolutionalHead(
            encoder.channels[-1], spec.channels, spec.convolutions, self.num_classes, dropout(DROPOUT)
        )
        self.auxiliary = auxiliary_head(
            encoder, AUXILIARY_FEATURE, spec.auxiliary_channels, self.num_classes, dropout(DROPOUT)
        )

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits at the stride of the coarsest features; in training mode, those of an auxiliary head follow."""
        return head_and_auxiliary(self.encoder, images, self.head, self.auxiliary if self.training else None)


@builds(FCNSpec)
def build(spec: FCNSpec, classes: tuple[str, ...]) -> FCN:
    """FCN with timm's initial weights in the encoder and PyTorch's in the heads."""
    return FCN(spec, classes)
