"""From an encoder's name to the encoder."""

from __future__ import annotations

from pixelwise.backbones import mit, mobilenetv3
from pixelwise.backbones.base import Encoder
from pixelwise.backbones.timm import TimmEncoder, unknown_encoder
from pixelwise.backbones.vit import ViTEncoder, has_one_stride
from pixelwise.errors import RecipeError

OWN_ENCODERS = (*mit.VARIANTS, mobilenetv3.NAME)
"""Names of the encoders that are not timm's models."""


def build_encoder(
    name: str, output_stride: int | None = None, *, maps: int | None = None, in_channels: int = 3
) -> Encoder:
    """The encoder of that name, with random weights.

    Args:
        name: timm's name of a model, or one of `OWN_ENCODERS`.
        output_stride: Stride of the coarsest feature maps; None: the network's own.
        maps: How many of the feature maps are needed, counted from the coarsest; None: all. Layers that
            exist for others only are left out; maps that come anyway are given.
        in_channels: Of the images.

    Raises:
        RecipeError: R207, there is no such encoder, or it cannot have that output stride.
    """
    if name in mit.VARIANTS:
        if output_stride not in (None, mit.STRIDES[-1]):
            raise RecipeError(
                "R207",
                f"the encoder '{name}' has output stride {mit.STRIDES[-1]}, not {output_stride}",
                "leave model.output_stride out",
            )
        return mit.MiT(name, in_channels=in_channels)
    if name == mobilenetv3.NAME:
        return mobilenetv3.MobileNetV3LargeDilated(output_stride, in_channels)
    # Importing timm takes longer than building a small network: only who needs it pays.
    import timm

    if not timm.is_model(name):
        raise unknown_encoder(name, OWN_ENCODERS)
    if has_one_stride(name):
        return ViTEncoder(name, output_stride, maps, in_channels)
    return TimmEncoder(name, output_stride, in_channels)
