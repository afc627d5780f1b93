"""DeepLabV3Lite, UNetLite and FPNLite: TI's networks for embedded devices, with the same encoders."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.model import Preprocessing, Spec, register_spec

EDGEAI = Preprocessing(mean=(128 / 255, 128 / 255, 128 / 255), std=(64 / 255, 64 / 255, 64 / 255))
"""Normalisation to (image - 128) / 64."""

LiteEncoder = Literal["mobilenetv2_100", "mobilenetv2_140", "regnetx_004", "regnetx_008", "regnetx_016", "regnetx_032"]
"""Encoders of TI's networks, by timm's names."""


@register_spec
class DeepLabV3LiteSpec(Spec, frozen=True, kw_only=True, tag="deeplabv3lite"):
    """TI's DeepLabV3Lite: output stride 16 without dilation, grouped ASPP, a shortcut at stride 4.

    Attributes:
        encoder: Name of the encoder, whose group size is used everywhere in the decoder.
        channels: Output channels of the ASPP.
    """

    encoder: LiteEncoder = "mobilenetv2_100"
    channels: int = 256
    preprocessing: Preprocessing = EDGEAI


@register_spec
class UNetLiteSpec(Spec, frozen=True, kw_only=True, tag="unetlite"):
    """TI's UNetLite: grouped ASPP at stride 32, one grouped convolution per concatenated scale up to stride 2.

    Attributes:
        encoder: Name of the encoder, whose group size is used everywhere in the decoder.
        channels: Output channels of the ASPP.
    """

    encoder: LiteEncoder = "mobilenetv2_100"
    channels: int = 256
    preprocessing: Preprocessing = EDGEAI


@register_spec
class FPNLiteSpec(Spec, frozen=True, kw_only=True, tag="fpnlite"):
    """TI's FPNLite: grouped ASPP at stride 32, a smoothing convolution inside the top-down path to stride 4.

    Attributes:
        encoder: Name of the encoder, whose group size is used everywhere in the decoder.
        channels: Output channels of the ASPP and of every scale of the top-down path.
    """

    encoder: LiteEncoder = "mobilenetv2_100"
    channels: int = 256
    preprocessing: Preprocessing = EDGEAI
