"""OCR: Object-Contextual Representations for Semantic Segmentation, on HRNet.

Yuan, Chen, Wang, ECCV 2020, arXiv:1909.11065. Reimplements United Perception's network (Apache-2.0), whose
graph is that of HRNet-Semantic-Segmentation's OCR branch (MIT). A first classifier predicts where each
class probably is (the soft regions); the mean feature of each region represents that class in the image;
every pixel then attends to those region representations. All upsampling is bilinear with aligned corners.
As in the original, initial weights are PyTorch's defaults.

The logits of the soft regions are used in inference and have their own loss in training, so they are also
the auxiliary logits.

Deviations: none. Images of any size are processed without padding.
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
    """Attention from every pixel to the region representations of the classes.

    Args:
        channels: Channels of the pixel features, the region representations and the result.
        key_channels: Channels of queries, keys and values.
    """

    def __init__(self, channels: int, key_channels: int) -> None:
        super().__init__()
        self.query = nn.Sequential(conv_norm_relu(channels, key_channels), conv_norm_relu(key_channels, key_channels))
        self.key = nn.Sequential(conv_norm_relu(channels, key_channels), conv_norm_relu(key_channels, key_channels))
        self.value = conv_norm_relu(channels, key_channels)
        self.output = conv_norm_relu(key_channels, channels)
        self.scale: float = key_channels**-0.5

    def forward(self, pixels: Tensor, regions: Tensor) -> Tensor:
        """Pixel features (B, C, H, W) and one representation per class, (B, C, K, 1), to (B, C, H, W)."""
        query = self.query(pixels).flatten(2).transpose(1, 2)
        key = self.key(regions).flatten(2)
        value = self.value(regions).flatten(2).transpose(1, 2)
        weights = (query @ key * self.scale).softmax(dim=2)
        attended = (weights @ value).transpose(1, 2).unflatten(2, pixels.shape[-2:])
        return self.output(attended)


class OCRNet(SegmentationModel):
    """HRNet, soft regions, attention to them; logits at stride 4."""

    align_corners = True

    def __init__(self, spec: OCRNetSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        self.encoder = HRNetEncoder(spec.variant, in_channels=spec.preprocessing.in_channels)
        joined = sum(self.encoder.channels)
        self.soft_regions = HRNetHead(joined, self.num_classes)
        # The original has a bias here, although the normalisation cancels it.
        conv = nn.Conv2d(joined, spec.channels, kernel_size=3, padding=1)
        self.pixels = ConvNormActivation(conv, nn.ReLU())
        self.attention = ObjectAttention(spec.channels, spec.key_channels)
        self.fusion = conv_norm_relu(2 * spec.channels, spec.channels)
        self.dropout = nn.Dropout2d(DROPOUT)
        self.classifier = nn.Conv2d(spec.channels, self.num_classes, kernel_size=1)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / 4), ceil(W / 4)); in training mode, those of the soft regions follow."""
        joined = join(self.encoder(images))
        soft_regions = self.soft_regions(joined)
        pixels = self.pixels(joined)
        context = self.attention(pixels, describe_regions(pixels, soft_regions))
        logits = self.classifier(self.dropout(self.fusion(torch.cat((context, pixels), dim=1))))
        return (logits, soft_regions) if self.training else (logits,)


def describe_regions(pixels: Tensor, soft_regions: Tensor) -> Tensor:
    """Mean feature of each class over the pixels, weighted by its soft region.

    Args:
        pixels: (B, C, H, W).
        soft_regions: Logits (B, K, H, W). Their softmax is taken over the pixels, so the weights of each class
            add up to 1, however small the class is in the image.

    Returns:
        (B, C, K, 1).
    """
    weights = soft_regions.flatten(2).softmax(dim=2)
    return (pixels.flatten(2) @ weights.transpose(1, 2)).unsqueeze(3)


@builds(OCRNetSpec)
def build(spec: OCRNetSpec, classes: tuple[str, ...]) -> OCRNet:
    """OCR on HRNet with random initial weights."""
    return OCRNet(spec, classes)
