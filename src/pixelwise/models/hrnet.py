"""HRNetV2: Deep High-Resolution Representation Learning for Visual Recognition.

Wang et al., TPAMI 2020, arXiv:1908.07919. Reimplements United Perception's network (Apache-2.0), whose
graph is that of HRNet-Semantic-Segmentation (MIT): the four scales are upsampled to stride 4 and
concatenated, one 1x1 convolution mixes them, another one classifies. All upsampling, including that of the
logits, is bilinear with aligned corners. As in the original, initial weights are PyTorch's defaults.

Deviations: none. Images of any size are processed without padding.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pixelwise.backbones.hrnet import HRNetEncoder, join
from pixelwise.layers.convolutions import ConvNormActivation
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.recipes.families.hrnet import HRNetSpec


class HRNetHead(nn.Module):
    """A 1x1 convolution that keeps the channels, normalisation, ReLU, and a 1x1 classifier.

    Args:
        channels: Channels of the features.
        num_classes: Number of outputs of the classifier.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        # The original has a bias here, although the normalisation cancels it.
        self.mix = ConvNormActivation(nn.Conv2d(channels, channels, kernel_size=1), nn.ReLU())
        self.classifier = nn.Conv2d(channels, num_classes, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) float to logits (B, K, h, w)."""
        return self.classifier(self.mix(features))


class HRNet(SegmentationModel):
    """HRNet with its two-convolution head; logits at stride 4."""

    align_corners = True

    def __init__(self, spec: HRNetSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        self.encoder = HRNetEncoder(spec.variant, in_channels=spec.preprocessing.in_channels)
        self.head = HRNetHead(sum(self.encoder.channels), self.num_classes)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / 4), ceil(W / 4)); there are no auxiliary heads."""
        return (self.head(join(self.encoder(images))),)


@builds(HRNetSpec)
def build(spec: HRNetSpec, classes: tuple[str, ...]) -> HRNet:
    """HRNet with random initial weights."""
    return HRNet(spec, classes)
