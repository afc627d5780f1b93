"""SegFormer: every scale of the encoder projected to the same channels, upsampled to stride 4 and fused.

Xie et al., NeurIPS 2021, arXiv:2105.15203. Two heads with the same structure:

- `mlp` is the published one, as in Hugging Face transformers (Apache-2.0): one linear layer with bias per
  scale; 256 channels for `mit_b0` and `mit_b1`, 768 for the larger encoders.
- `convolution` is that of United Perception (Apache-2.0), and mmsegmentation's has the same graph: one 1x1
  convolution without bias, batch normalisation and ReLU per scale; 256 channels for all encoders.

Both upsample bilinearly (corners not aligned), fuse the scales by a 1x1 convolution with normalisation and
ReLU, apply dropout of 0.1 in training (to elements in `mlp`, to whole channels in `convolution`) and classify.

Deviations: both heads concatenate the scales from fine to coarse (other implementations of `mlp` use the
opposite order; the importer reorders their weights). Any encoder can be used; scales finer than stride 4 are
ignored. The layer normalisations of MiT have the epsilon of the code base that the head comes from (1e-5 in
Hugging Face's, 1e-6 in the other), because trained weights depend on it. Initial weights: He's with fan-out
in the head, normal (0.01) in the classifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import build_encoder
from pixelwise.backbones.mit import VARIANTS, MiT
from pixelwise.layers.convolutions import conv_norm_relu
from pixelwise.layers.initialisation import he_normal, small_normal
from pixelwise.layers.resizing import resize_to
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import crop_to_image, encode, scales_finer_than
from pixelwise.recipes.families.segformer import SegFormerSpec

FINEST = 4
"""Scales finer than this stride are not used."""
DROPOUT = 0.1
EPS: dict[str, float] = {"mlp": 1e-5, "convolution": 1e-6}
"""Head -> epsilon of MiT's layer normalisations in the code base that the head comes from."""


class SegFormerHead(nn.Module):
    """Projections, fusion and classifier.

    Args:
        in_channels: Channels of each scale, from fine to coarse.
        channels: Output channels of each projection and of the fusion.
        num_classes: Number of outputs of the classifier.
        kind: Kind of projection, as `SegFormerSpec.head`.
    """

    def __init__(
        self, in_channels: Sequence[int], channels: int, num_classes: int, kind: Literal["mlp", "convolution"]
    ) -> None:
        super().__init__()
        if kind == "mlp":
            # A linear layer per pixel is a 1x1 convolution.
            projections = [he_normal(nn.Conv2d(inputs, channels, kernel_size=1)) for inputs in in_channels]
        else:
            projections = [he_normal(conv_norm_relu(inputs, channels)) for inputs in in_channels]
        self.projections = nn.ModuleList(projections)
        self.fusion = he_normal(conv_norm_relu(len(in_channels) * channels, channels))
        self.dropout = nn.Dropout(DROPOUT) if kind == "mlp" else nn.Dropout2d(DROPOUT)
        self.classifier = nn.Conv2d(channels, num_classes, kernel_size=1)
        small_normal(self.classifier)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """One (B, C, h, w) per scale, from fine to coarse, to logits (B, K, H, W) of the size of the finest."""
        finest, *coarser = (projection(scale) for projection, scale in zip(self.projections, features, strict=True))
        joined = torch.cat([finest, *(resize_to(scale, finest) for scale in coarser)], dim=1)
        return self.classifier(self.dropout(self.fusion(joined)))


class SegFormer(SegmentationModel):
    """Encoder and SegFormer head; logits at stride 4, or at the encoder's finest if that is coarser.

    Raises:
        RecipeError: R207, the encoder is unknown, cannot be built, or has fewer than two scales to fuse.
    """

    def __init__(self, spec: SegFormerSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        channels = spec.preprocessing.in_channels
        if spec.encoder in VARIANTS:
            self.encoder: Encoder = MiT(spec.encoder, EPS[spec.head], channels)
        else:
            self.encoder = build_encoder(spec.encoder, in_channels=channels)
        self.finer = scales_finer_than(FINEST, self.encoder, "SegFormer", "mit_b0")
        in_channels = self.encoder.channels[self.finer :]
        self.head = SegFormerHead(in_channels, spec.channels, self.num_classes, spec.head)
        self.stride: int = self.encoder.strides[self.finer]

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / s), ceil(W / s)) at stride s; there are no auxiliary heads."""
        logits = self.head(encode(self.encoder, images)[self.finer :])
        return (crop_to_image(logits, images, self.stride),)


@builds(SegFormerSpec)
def build(spec: SegFormerSpec, classes: tuple[str, ...]) -> SegFormer:
    """SegFormer with random initial weights."""
    return SegFormer(spec, classes)
