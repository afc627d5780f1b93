"""U-Net: Convolutional Networks for Biomedical Image Segmentation.

Ronneberger, Fischer, Brox 2015, arXiv:1505.04597. The decoder of the paper on any encoder.

The usual deviations from the paper: convolutions keep the size (padding 1) and are followed by batch
normalisation; nearest-neighbour interpolation replaces transposed convolutions (no checkerboard artefacts,
no parameters, and a gradient that is deterministic on a GPU, unlike that of bilinear interpolation).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.building import build_encoder
from pixelwise.errors import RecipeError
from pixelwise.layers.convolutions import conv_norm_relu
from pixelwise.layers.initialisation import he_normal
from pixelwise.layers.padding import pad_to_multiple
from pixelwise.layers.repeated import can_convolve_repeated, convolve_repeated
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import Size, crop_to_image, size_at
from pixelwise.recipes.families.unet import UNetSpec


class DecoderBlock(nn.Module):
    """Upsampling, concatenation with the encoder's features, two 3x3 convolutions.

    Args:
        in_channels: Channels of the coarser features.
        skip_channels: Channels of the encoder's features at the new size; 0 if there are none.
    """

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = he_normal(conv_norm_relu(in_channels + skip_channels, out_channels, 3))
        self.conv2 = he_normal(conv_norm_relu(out_channels, out_channels, 3))

    def forward(self, features: Tensor, skip: Tensor | None, size: Size) -> Tensor:
        """(B, C, h, w) and (B, S, *size) to (B, C', *size)."""
        small = (features.shape[2], features.shape[3])
        # Exporters, quantizers and operation counters see the plain form, which they can fuse; a question about sizes
        # would be answered for the size that they trace, and their graphs would refuse all others.
        if self.training and not torch.compiler.is_exporting() and can_convolve_repeated(small, size):
            return self.conv2(self.conv1.activation(self.conv1.norm(self._convolved(features, skip, size))))
        enlarged = F.interpolate(features, size=size, mode="nearest")
        joined = enlarged if skip is None else torch.cat((enlarged, skip), dim=1)
        return self.conv2(self.conv1(joined))

    def _convolved(self, features: Tensor, skip: Tensor | None, size: Size) -> Tensor:
        """The output of `conv1.conv` for the upsampled features joined with `skip`, without storing that input."""
        weight, channels = self.conv1.conv.weight, features.shape[1]
        convolved = convolve_repeated(features, weight[:, :channels], size)
        if skip is None:
            return convolved
        return convolved + F.conv2d(skip, weight[:, channels:], padding=1)


class UNet(SegmentationModel):
    """Encoder, one decoder block per halving of the stride, a 1x1 classifier.

    Raises:
        RecipeError: R203, the number of decoder blocks does not fit the encoder; R207, the encoder
            is unknown or cannot be built.
    """

    def __init__(self, spec: UNetSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        self.encoder = build_encoder(spec.encoder, in_channels=spec.preprocessing.in_channels)
        coarsest = self.encoder.strides[-1]
        most = coarsest.bit_length() - 1
        if not 1 <= len(spec.decoder_channels) <= most:
            raise RecipeError(
                "R203",
                f"model.decoder_channels has {len(spec.decoder_channels)} blocks; the coarsest features of "
                f"'{spec.encoder}' have stride {coarsest}, which can be halved 1..{most} times",
                "give one number of channels per block, for example [256, 128, 64, 32]",
            )
        self.strides: tuple[int, ...] = tuple(coarsest >> block for block in range(1, len(spec.decoder_channels) + 1))
        channels_at = dict(zip(self.encoder.strides, self.encoder.channels, strict=True))
        in_channels = (channels_at[coarsest], *spec.decoder_channels[:-1])
        self.decoder = nn.ModuleList(
            DecoderBlock(channels, channels_at.get(stride, 0), out_channels)
            for channels, stride, out_channels in zip(in_channels, self.strides, spec.decoder_channels, strict=True)
        )
        self.classifier = nn.Conv2d(spec.decoder_channels[-1], self.num_classes, kernel_size=1)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / s), ceil(W / s)) at the stride s of the last decoder block; no auxiliary heads."""
        padded = pad_to_multiple(images, self.encoder.multiple)
        encoded = self.encoder(padded)
        skips = dict(zip(self.encoder.strides, encoded, strict=True))
        features = encoded[-1]
        for block, stride in zip(self.decoder, self.strides, strict=True):
            features = block(features, skips.get(stride), size_at(padded, stride))
        return (crop_to_image(self.classifier(features), images, self.strides[-1]),)


@builds(UNetSpec)
def build(spec: UNetSpec, classes: tuple[str, ...]) -> UNet:
    """U-Net with the encoder's default initial weights, and He's in the decoder."""
    return UNet(spec, classes)
