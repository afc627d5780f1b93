"""OCR: Object-Contextual Representations for Semantic Segmentation, over HRNet.

Yuan, Chen, Wang, ECCV 2020, arXiv:1909.11065. Follows United Perception (Apache-2.0), whose graph is
that of HRNet-Semantic-Segmentation's OCR branch (MIT), written anew. A first classifier says where
each class probably is (the soft regions); the mean feature of each region describes that class in
this image; every pixel then attends to those descriptions. All enlarging is bilinear with corners
aligned. Initial weights are PyTorch's default ones, as there.

The logits of the soft regions take part in inference and have a loss of their own in training, so
they are also the auxiliary logits.

Deviations: none. Any image size is taken as it is, without padding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pixelwise.backbones.hrnet import HRNetEncoder, join
from pixelwise.layers.convolutions import ConvNormActivation, conv_norm_relu
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.hrnet import HRNetHead
from pixelwise.recipes.families.hrnet import OCRNetSpec

DROPOUT = 0.05


class ObjectAttention(nn.Module):
    """Every pixel attends to the descriptions of the classes.

    Args:
        channels: Of the pixels, of the descriptions and of the result.
        key_channels: Of queries, keys and values.
    """

    def __init__(self, channels: int, key_channels: int) -> None:
        super().__init__()
        self.query = nn.Sequential(conv_norm_relu(channels, key_channels), conv_norm_relu(key_channels, key_channels))
        self.key = nn.Sequential(conv_norm_relu(channels, key_channels), conv_norm_relu(key_channels, key_channels))
        self.value = conv_norm_relu(channels, key_channels)
        self.output = conv_norm_relu(key_channels, channels)
        self.scale: float = key_channels**-0.5

    def forward(self, pixels: Tensor, regions: Tensor) -> Tensor:
        """Pixels (B, C, H, W) and one description per class, (B, C, K, 1), to (B, C, H, W)."""
        query = self.query(pixels).flatten(2).transpose(1, 2)
        key = self.key(regions).flatten(2)
        value = self.value(regions).flatten(2).transpose(1, 2)
        weights = (query @ key * self.scale).softmax(dim=2)
        attended = (weights @ value).transpose(1, 2).unflatten(2, pixels.shape[-2:])
        return self.output(attended)


class OCRNet(SegmentationModel):
    """HRNet, soft regions, attention to them; logits at stride 4.

    Args:
        spec: Width and depth of the HRNet, channels of the head.
        classes: Class names.
    """

    align_corners = True

    def __init__(self, spec: OCRNetSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        self.encoder = HRNetEncoder(spec.variant, in_channels=spec.preprocessing.in_channels)
        joined = sum(self.encoder.channels)
        self.soft_regions = HRNetHead(joined, self.num_classes)
        # The original has a bias here, although the normalisation takes it out again.
        conv = nn.Conv2d(joined, spec.channels, kernel_size=3, padding=1)
        self.pixels = ConvNormActivation(conv, nn.ReLU())
        self.attention = ObjectAttention(spec.channels, spec.key_channels)
        self.fusion = conv_norm_relu(2 * spec.channels, spec.channels)
        self.dropout = nn.Dropout2d(DROPOUT)
        self.classifier = nn.Conv2d(spec.channels, self.num_classes, kernel_size=1)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """The logits, (B, K, ceil(H / 4), ceil(W / 4)); in training mode those of the soft regions follow."""
        joined = join(self.encoder(images))
        soft_regions = self.soft_regions(joined)
        pixels = self.pixels(joined)
        context = self.attention(pixels, describe_regions(pixels, soft_regions))
        logits = self.classifier(self.dropout(self.fusion(torch.cat((context, pixels), dim=1))))
        return (logits, soft_regions) if self.training else (logits,)


def describe_regions(pixels: Tensor, soft_regions: Tensor) -> Tensor:
    """Mean feature of each class, weighted by where it probably is.

    Args:
        pixels: (B, C, H, W).
        soft_regions: Logits (B, K, H, W). Their softmax is over the pixels: each class shares out one
            whole weight, however small it is in the image.

    Returns:
        (B, C, K, 1).
    """
    weights = soft_regions.flatten(2).softmax(dim=2)
    return (pixels.flatten(2) @ weights.transpose(1, 2)).unsqueeze(3)


@builds(OCRNetSpec)
def build(spec: OCRNetSpec, classes: tuple[str, ...]) -> OCRNet:
    """OCR over HRNet with random initial weights."""
    return OCRNet(spec, classes)
