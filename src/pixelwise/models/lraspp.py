"""LR-ASPP: the segmentation head of Searching for MobileNetV3.

Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le, Adam 2019 (ICCV),
arXiv:1905.02244. Reimplements torchvision's network (BSD-3-Clause), which differs from the paper in that
the gate is computed from the mean of the whole map, not from means over windows of 49x49.

Deviations from torchvision: none. On other encoders, the head reads the first feature map of stride 8.
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
"""Stride of the finer of the two feature maps and of the logits."""
COARSEST = 32
"""Output stride of encoders that are not dilated."""


class LRASPP(SegmentationModel):
    """The coarsest features, gated by their mean, and those of stride 8, each classified; logits at stride 8.

    Raises:
        RecipeError: R207, the encoder is unknown, cannot be built, or has no features of stride 8.
    """

    def __init__(self, spec: LRASPPSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        # An encoder that computes feature maps on request need not compute those finer than stride 8.
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
        """Logits (B, K, ceil(H / 8), ceil(W / 8)); there are no auxiliary heads."""
        features = encode(self.encoder, images)
        low, high = features[self.low], features[-1]
        gate = self.gate(high.mean(dim=(2, 3), keepdim=True)).sigmoid()
        gated = resize_to(self.project(high) * gate, low)
        logits = self.low_classifier(low) + self.high_classifier(gated)
        return (crop_to_image(logits, images, STRIDE),)


@builds(LRASPPSpec)
def build(spec: LRASPPSpec, classes: tuple[str, ...]) -> LRASPP:
    """LR-ASPP with the encoder's default initial weights, and PyTorch's in the head."""
    return LRASPP(spec, classes)
