"""UPerNet: pyramid pooling on the coarsest features, a feature pyramid over all of them, one fused map.

Xiao et al., ECCV 2018, arXiv:1807.10221. Implemented from the paper and from the graph of mmsegmentation and of Hugging
Face transformers (both Apache-2.0): all convolutions of the head have no bias, batch normalisation and ReLU; maps are
enlarged bilinearly, corners not aligned; every map of the pyramid except the coarsest is smoothed; all are enlarged to
stride 4, joined and fused by a 3x3 convolution. Whole channels are dropped before the classifier. Swin and ConvNeXt
have one more layer normalisation on every feature map, with the epsilon of their own ones.

Initial weights: He's with fan-out in the heads, normal (0.01) in their classifiers.

Deviations: any encoder can be used; scales finer than stride 4 are ignored. Where an encoder needs multiples of its
stride, such as ConvNeXt, images of other sizes are padded; the original cuts off the rows and columns that remain.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import build_encoder
from pixelwise.backbones.swin import VARIANTS, Swin
from pixelwise.backbones.timm import TimmEncoder, is_model
from pixelwise.errors import RecipeError
from pixelwise.layers.convolutions import conv_norm_relu
from pixelwise.layers.heads import DROPOUT
from pixelwise.layers.initialisation import he_normal, small_normal
from pixelwise.layers.pyramid_pooling import PyramidPooling
from pixelwise.layers.resizing import resize_to
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import AUXILIARY_FEATURE, auxiliary_head, crop_to_image, encode, expect_positive
from pixelwise.recipes.families.upernet import UPerNetSpec

FINEST = 4
"""Scales finer than this stride are not used."""
EPS = 1e-6
"""Epsilon of the normalisations of feature maps if the encoder has no layer normalisation of its own."""


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class UPerNetHead(nn.Module):
    """Pyramid pooling, feature pyramid, fusion and classifier.

    Args:
        in_channels: Channels of each scale, from fine to coarse.
        channels: Output channels of every convolution.
        bins: Rows (and columns) of the pooling grids.
        num_classes: Number of outputs of the classifier.
    """

    def __init__(self, in_channels: Sequence[int], channels: int, bins: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        *finer, coarsest = in_channels
        self.pooling = PyramidPooling(coarsest, channels, bins)
        self.laterals = nn.ModuleList(conv_norm_relu(inputs, channels) for inputs in finer)
        self.smoothing = nn.ModuleList(conv_norm_relu(channels, channels, 3) for _ in finer)
        self.fusion = conv_norm_relu(len(in_channels) * channels, channels, 3)
        self.dropout = nn.Dropout2d(DROPOUT)
        self.classifier = nn.Conv2d(channels, num_classes, kernel_size=1)
        he_normal(self)
        small_normal(self.classifier)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """One (B, C, h, w) per scale, from fine to coarse, to logits (B, K, H, W) of the size of the finest."""
        *finer, coarsest = features
        pyramid = [self.pooling(coarsest)]
        for lateral, scale in zip(reversed(self.laterals), reversed(finer), strict=True):
            here = lateral(scale)
            pyramid.insert(0, here + resize_to(pyramid[0], here))
        smoothed = [smooth(scale) for smooth, scale in zip(self.smoothing, pyramid[:-1], strict=True)]
        finest, *coarser = *smoothed, pyramid[-1]
        joined = torch.cat([finest, *(resize_to(scale, finest) for scale in coarser)], dim=1)
        return self.classifier(self.dropout(self.fusion(joined)))


class UPerNet(SegmentationModel):
    """Encoder and UPerNet head; logits at stride 4, or at the encoder's finest if that is coarser.

    Raises:
        RecipeError: R203, the head cannot be built on this encoder; R207, the encoder is unknown, cannot be built,
            cannot skip blocks, or has fewer than two scales.
    """

    def __init__(self, spec: UPerNetSpec, classes: Sequence[str], encoder: Encoder | None = None) -> None:
        super().__init__(spec, classes)
        expect_positive("bins", spec.bins, "the paper has [1, 2, 3, 6]")
        if encoder is None:
            encoder = encoder_that_skips(spec.encoder, spec.drop_path, spec.preprocessing.in_channels)
        self.encoder = encoder
        self.finer = sum(stride < FINEST for stride in encoder.strides)
        in_channels = encoder.channels[self.finer :]
        if len(in_channels) < 2:
            raise RecipeError(
                "R207",
                f"'{spec.encoder}' has {len(in_channels)} feature map(s) of stride {FINEST} or more; "
                "UPerNet needs at least two",
                "choose an encoder with several scales, for example swin_tiny or resnet18",
            )
        self.stride: int = encoder.strides[self.finer]
        self.feature_norms = nn.ModuleList(
            (ChannelNorm(channels, eps=_eps(encoder)) for channels in in_channels) if spec.normalize_features else ()
        )
        self.head = UPerNetHead(in_channels, spec.channels, spec.bins, self.num_classes)
        self.auxiliary = auxiliary_head(
            encoder, AUXILIARY_FEATURE, spec.auxiliary_channels, self.num_classes, nn.Dropout2d(DROPOUT)
        )
        if self.auxiliary is not None:
            small_normal(he_normal(self.auxiliary).classifier)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / s), ceil(W / s)) at stride s; in training mode, those of an auxiliary head follow."""
        features = encode(self.encoder, images)[self.finer :]
        if self.feature_norms:
            features = [norm(scale) for norm, scale in zip(self.feature_norms, features, strict=True)]
        logits = crop_to_image(self.head(features), images, self.stride)
        if self.auxiliary is None or not self.training:
            return (logits,)
        stride = self.encoder.strides[AUXILIARY_FEATURE]
        return logits, crop_to_image(self.auxiliary(features[AUXILIARY_FEATURE]), images, stride)


def encoder_that_skips(name: str, drop_path: float, in_channels: int) -> Encoder:
    """An encoder in which images skip blocks in training.

    Args:
        name: Name of the encoder.
        drop_path: Probability at the last block; 0: no block is skipped.
        in_channels: Number of bands of the input images.

    Raises:
        RecipeError: R203, the probability is not one of less than 1; R207, the encoder cannot be built, or cannot skip
            blocks.
    """
    if not 0 <= drop_path < 1:
        raise RecipeError(
            "R203", f"model.drop_path is {drop_path}; expected 0 or more and less than 1", "for example 0.3; 0 is off"
        )
    if drop_path == 0:
        return build_encoder(name, in_channels=in_channels)
    if name in VARIANTS:
        return Swin(name, in_channels, drop_path=drop_path)
    reason = "it has no such option"
    if is_model(name):
        try:
            return TimmEncoder(name, in_channels=in_channels, drop_path_rate=drop_path)
        except RecipeError as error:
            # An encoder that is unusable in any case says so itself.
            build_encoder(name, in_channels=in_channels)
            reason = error.args[0] if error.args else reason
    raise RecipeError(
        "R207",
        f"'{name}' cannot skip blocks in training (model.drop_path is {drop_path}): {reason}",
        "set model.drop_path=0, or choose swin_tiny or convnext_tiny",
    )


def _eps(encoder: Encoder) -> float:
    return next((module.eps for module in encoder.modules() if isinstance(module, nn.LayerNorm)), EPS)


@builds(UPerNetSpec)
def build(spec: UPerNetSpec, classes: tuple[str, ...]) -> UPerNet:
    """UPerNet with the encoder's default initial weights, and He's in the heads."""
    return UPerNet(spec, classes)
