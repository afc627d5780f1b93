"""FPNLite: TI's variant of the feature pyramid (Lin et al. 2016, arXiv:1612.03144) for embedded accelerators.

Reimplements TexasInstruments/edgeai-torchvision r8.2, `fpn_aspp_*_edgeailite` (BSD-3-Clause): an ASPP of
grouped convolutions at stride 32, then, per scale, the upsampled features plus those of the encoder,
smoothed. The smoothing convolutions are part of the top-down path ("in-loop"), not beside it as in the
paper.

Deviation, which changes no logit for inputs that the original accepts (multiples of 32): features are
upsampled to the size of the finer ones instead of by a fixed factor, so any image size works.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pixelwise.backbones.lite import LiteEncoder
from pixelwise.layers.lite import GroupedSeparableConv, LiteASPP, LitePrediction, initialise, pointwise
from pixelwise.layers.resizing import resize_to
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.recipes.families.lite import FPNLiteSpec


class PyramidLevel(nn.Module):
    """Upsampled coarser features plus those of the encoder, then a smoothing convolution.

    Args:
        skip_channels: Channels of the encoder's features.
        channels: Channels of the pyramid.
        group_size: Channels per group of the smoothing convolution.
        activation: Class of the activation modules.
    """

    def __init__(self, skip_channels: int, channels: int, group_size: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.shortcut = pointwise(skip_channels, channels, activation)
        self.smooth = GroupedSeparableConv(channels, channels, group_size, activation)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """(B, C, h, w) and (B, S, H, W) float to (B, C, H, W)."""
        return self.smooth(resize_to(features, skip) + self.shortcut(skip))


class FPNLite(SegmentationModel):
    """ASPP at stride 32, then one pyramid level at each of the strides 16, 8, 4; logits at stride 4.

    Raises:
        RecipeError: R203, the width does not fit the encoder's group size.
    """

    def __init__(self, spec: FPNLiteSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        self.encoder = LiteEncoder(spec.encoder, in_channels=spec.preprocessing.in_channels)
        group_size, activation = self.encoder.group_size, self.encoder.activation
        *skips, coarsest = self.encoder.channels[1:]
        self.aspp = LiteASPP(coarsest, spec.channels, group_size, activation)
        self.decoder = nn.ModuleList(
            PyramidLevel(skip, spec.channels, group_size, activation) for skip in reversed(skips)
        )
        self.prediction = LitePrediction(spec.channels, self.num_classes, group_size)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / 4), ceil(W / 4)); there are no auxiliary heads."""
        *skips, coarsest = self.encoder(images)[1:]
        features = self.aspp(coarsest)
        for level, skip in zip(self.decoder, reversed(skips), strict=True):
            features = level(features, skip)
        return (self.prediction(features),)


@builds(FPNLiteSpec)
def build(spec: FPNLiteSpec, classes: tuple[str, ...]) -> FPNLite:
    """FPNLite, initialised as the original without an ImageNet encoder."""
    model = FPNLite(spec, classes)
    initialise(model)
    return model
