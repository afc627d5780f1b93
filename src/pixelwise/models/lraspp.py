"""LR-ASPP: the segmentation head of Searching for MobileNetV3.

Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le, Adam 2019 (ICCV),
arXiv:1905.02244. Follows torchvision (BSD-3-Clause), written anew. Its differences to the paper: the
gate is the mean of the whole map, not of windows of 49x49.

Deviation from torchvision: none. Over another encoder the features of stride 8 are the finest of that stride.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pixelwise.backbones.building import build_encoder
from pixelwise.layers.convolutions import conv_norm_relu
from pixelwise.layers.resizing import resize_to
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import crop_to_image, encode, index_of_stride
from pixelwise.recipes.families.lraspp import LRASPPSpec

STRIDE = 8
"""Of the finer of the two features, and of the logits."""
COARSEST = 32
"""Output stride of encoders that are not dilated."""


class LRASPP(SegmentationModel):
    """The coarsest features, gated by their mean, and those of stride 8, each classified; logits at stride 8.

    Args:
        spec: Encoder and head.
        classes: Class names.

    Raises:
        RecipeError: R207, the encoder is unknown, cannot be one, or has no features of stride 8.
    """

    def __init__(self, spec: LRASPPSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        # An encoder that makes its scales for us need not make those finer than stride 8.
        maps = ((spec.output_stride or COARSEST) // STRIDE).bit_length()
        encoder = build_encoder(spec.encoder, spec.output_stride, maps=maps, in_channels=spec.preprocessing.in_channels)
        self.encoder = encoder
        self.low = index_of_stride(encoder, STRIDE, "LR-ASPP")
        high_channels = encoder.channels[-1]
        self.project = conv_norm_relu(high_channels, spec.channels)
        self.gate = nn.Conv2d(high_channels, spec.channels, kernel_size=1, bias=False)
        self.low_classifier = nn.Conv2d(encoder.channels[self.low], self.num_classes, kernel_size=1)
        self.high_classifier = nn.Conv2d(spec.channels, self.num_classes, kernel_size=1)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """The logits, (B, K, ceil(H / 8), ceil(W / 8)), alone."""
        features = encode(self.encoder, images)
        low, high = features[self.low], features[-1]
        gate = self.gate(high.mean(dim=(2, 3), keepdim=True)).sigmoid()
        gated = resize_to(self.project(high) * gate, low)
        logits = self.low_classifier(low) + self.high_classifier(gated)
        return (crop_to_image(logits, images, STRIDE),)


@builds(LRASPPSpec)
def build(spec: LRASPPSpec, classes: tuple[str, ...]) -> LRASPP:
    """LR-ASPP with the encoder's own initial weights and PyTorch's in the head."""
    return LRASPP(spec, classes)
