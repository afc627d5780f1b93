"""SegFormer: every scale of the encoder projected to the same channels, enlarged to stride 4 and joined.

Xie et al., NeurIPS 2021, arXiv:2105.15203. Two heads of the same idea:

- `mlp` is the published one, in the form of Hugging Face transformers (Apache-2.0): one linear layer
  with bias per scale; 256 channels for `mit_b0` and `mit_b1`, 768 for the larger ones.
- `convolution` is that of United Perception (Apache-2.0), and mmsegmentation's has the same graph: one 1x1
  convolution without bias, batch normalisation and ReLU per scale; 256 channels for all encoders.

Both enlarge bilinearly (corners not aligned), join by a 1x1 convolution with normalisation and ReLU, drop
a tenth in training (of all elements in `mlp`, of whole channels in `convolution`) and classify.

Deviations: scales are joined from fine to coarse in both heads (`mlp` has them the other way round
elsewhere; the importer reorders its weights). The encoder may be any; scales finer than stride 4 are not
used. Layer normalisations of MiT have the epsilon of the code that the head is from (1e-5 in Hugging
Face's, 1e-6 in the other), as trained weights feel it. Initial weights of the head: He's, fan-out; of
the classifier: normal, 0.01.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import build_encoder
from pixelwise.backbones.mit import VARIANTS, MiT
from pixelwise.errors import RecipeError
from pixelwise.layers.convolutions import conv_norm_relu
from pixelwise.layers.initialisation import he_normal, small_normal
from pixelwise.layers.resizing import resize_to
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import crop_to_image, encode
from pixelwise.recipes.families.segformer import SegFormerSpec

FINEST = 4
"""Finer scales than this stride are not used."""
DROPOUT = 0.1
EPS: dict[str, float] = {"mlp": 1e-5, "convolution": 1e-6}
"""Head -> epsilon of MiT's layer normalisations in the code that the head is from."""


class SegFormerHead(nn.Module):
    """Projections, fusion and classifier.

    Args:
        in_channels: Of each scale, from fine to coarse.
        channels: Of the projections and of the fusion.
        num_classes: Of the logits.
        kind: Of the projections, as in `SegFormerSpec`.
    """

    def __init__(
        self, in_channels: Sequence[int], channels: int, num_classes: int, kind: Literal["mlp", "convolution"]
    ) -> None:
        super().__init__()
        if kind == "mlp":
            # A linear layer, written as the convolution that it is on maps.
            projections = [he_normal(nn.Conv2d(inputs, channels, kernel_size=1)) for inputs in in_channels]
        else:
            projections = [he_normal(conv_norm_relu(inputs, channels)) for inputs in in_channels]
        self.projections = nn.ModuleList(projections)
        self.fusion = he_normal(conv_norm_relu(len(in_channels) * channels, channels))
        self.dropout = nn.Dropout(DROPOUT) if kind == "mlp" else nn.Dropout2d(DROPOUT)
        self.classifier = nn.Conv2d(channels, num_classes, kernel_size=1)
        small_normal(self.classifier)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """One (B, C, H, W) per scale, from fine to coarse, to logits (B, K, H, W) of the finest one's size."""
        finest, *coarser = (projection(scale) for projection, scale in zip(self.projections, features, strict=True))
        joined = torch.cat([finest, *(resize_to(scale, finest) for scale in coarser)], dim=1)
        return self.classifier(self.dropout(self.fusion(joined)))


class SegFormer(SegmentationModel):
    """Encoder and SegFormer head; logits at stride 4, or at the encoder's finest if that is coarser.

    Args:
        spec: Encoder and head.
        classes: Class names.

    Raises:
        RecipeError: R207, the encoder is unknown, cannot be one, or has fewer than two scales to join.
    """

    def __init__(self, spec: SegFormerSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        channels = spec.preprocessing.in_channels
        if spec.encoder in VARIANTS:
            self.encoder: Encoder = MiT(spec.encoder, EPS[spec.head], channels)
        else:
            self.encoder = build_encoder(spec.encoder, in_channels=channels)
        self.finer = sum(stride < FINEST for stride in self.encoder.strides)
        in_channels = self.encoder.channels[self.finer :]
        if len(in_channels) < 2:
            raise RecipeError(
                "R207",
                f"'{spec.encoder}' gives {len(in_channels)} feature map(s) of stride {FINEST} or more; "
                "SegFormer joins at least two",
                "choose an encoder with several scales, for example mit_b0 or resnet18",
            )
        self.head = SegFormerHead(in_channels, spec.channels, self.num_classes, spec.head)
        self.stride: int = self.encoder.strides[self.finer]

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """The logits, (B, K, ceil(H / s), ceil(W / s)) at stride s, alone."""
        logits = self.head(encode(self.encoder, images)[self.finer :])
        return (crop_to_image(logits, images, self.stride),)


@builds(SegFormerSpec)
def build(spec: SegFormerSpec, classes: tuple[str, ...]) -> SegFormer:
    """SegFormer with random initial weights."""
    return SegFormer(spec, classes)
