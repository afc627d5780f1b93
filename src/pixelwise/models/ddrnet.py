"""DDRNet: Deep Dual-resolution Networks for Real-time and Accurate Semantic Segmentation of Road Scenes.

Hong, Pan, Sun, Jia, arXiv:2101.06085. Implemented after the authors' code (ydhongHIT/DDRNet@de0db31, MIT). From stride
8 on there are two branches: one keeps its resolution, the other goes on to stride 64 and gathers context; twice they
add features to each other. The auxiliary head reads the branch of high resolution after the first exchange.

Features and logits are resized without aligned corners. Initial weights: He's with fan-out; biases are PyTorch's
defaults.

Deviation: images whose sides are not multiples of 8, which the original refuses, are processed without padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.layers.context_pooling import DAPPM, TRACED_SIZE
from pixelwise.layers.initialisation import he_normal
from pixelwise.layers.residual import Bottleneck, basic_stage, normalized_conv
from pixelwise.layers.resizing import resize_to
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.pidnet import Head, double_stem
from pixelwise.recipes.families.real_time.ddrnet import DDRNetSpec

BLOCKS = 2
"""Blocks of every stage but the last ones of both branches."""
POOLED = 128
"""Channels of each scale of the context pooling."""


class Variant(NamedTuple):
    """Channels of the stem and of the heads."""

    width: int
    head: int


VARIANTS = {"23-slim": Variant(32, 64), "23": Variant(64, 128)}


class DDRNet(SegmentationModel):
    """Stem, two branches, their sum; logits at stride 8.

    Attributes:
        auxiliary: Head of the branch of high resolution.
        head: Main head.
    """

    traced_size = TRACED_SIZE

    def __init__(self, spec: DDRNetSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        width, channels = VARIANTS[spec.variant]
        self.stem = double_stem(spec.preprocessing.in_channels, width)
        self.stage4 = basic_stage(width, width, BLOCKS)
        self.stage8 = basic_stage(width, 2 * width, BLOCKS, stride=2)
        # Branch of low resolution.
        self.stage16 = basic_stage(2 * width, 4 * width, BLOCKS, stride=2)
        self.stage32 = basic_stage(4 * width, 8 * width, BLOCKS, stride=2)
        self.stage64 = Bottleneck(8 * width, 8 * width, stride=2)
        self.pooling = DAPPM(16 * width, POOLED, 4 * width)
        # Branch of high resolution.
        self.details = nn.ModuleList(basic_stage(2 * width, 2 * width, BLOCKS) for _ in range(2))
        self.last_details = Bottleneck(2 * width, 2 * width)
        # The exchange at strides 16 and 32.
        self.down = nn.ModuleList(
            (
                normalized_conv(2 * width, 4 * width, 3, stride=2),
                nn.Sequential(
                    normalized_conv(2 * width, 4 * width, 3, stride=2),
                    nn.ReLU(),
                    normalized_conv(4 * width, 8 * width, 3, stride=2),
                ),
            )
        )
        self.compress = nn.ModuleList(normalized_conv(channels * width, 2 * width) for channels in (4, 8))
        self.auxiliary = Head(2 * width, channels, self.num_classes)
        self.head = Head(4 * width, channels, self.num_classes)
        he_normal(self, biases=False)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / 8), ceil(W / 8)); in training mode, those of the auxiliary head follow."""
        context = F.relu(self.stage8(F.relu(self.stage4(self.stem(images)))))
        details, auxiliary = context, None
        for place, stage in enumerate((self.stage16, self.stage32)):
            context = stage(context)
            details = self.details[place](F.relu(details))
            compressed = self.compress[place](F.relu(context))
            context = F.relu(context + self.down[place](F.relu(details)))
            details = details + resize_to(compressed, details)
            if self.training and not place:
                auxiliary = self.auxiliary(details)
        details = self.last_details(F.relu(details))
        context = resize_to(self.pooling(self.stage64(context)), details)
        logits = self.head(context + details)
        return (logits,) if auxiliary is None else (logits, auxiliary)


@builds(DDRNetSpec)
def build(spec: DDRNetSpec, classes: tuple[str, ...]) -> DDRNet:
    """DDRNet with random initial weights."""
    return DDRNet(spec, classes)
