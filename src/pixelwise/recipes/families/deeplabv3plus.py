"""DeepLabV3+, atrous spatial pyramid pooling and a decoder at stride 4."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.model import Spec, register_spec


@register_spec
class DeepLabV3PlusSpec(Spec, frozen=True, kw_only=True, tag="deeplabv3plus"):
    """DeepLabV3+ (Chen et al. 2018, arXiv:1802.02611): ASPP, then a decoder at stride 4; any encoder.

    Attributes:
        encoder: Name of the encoder.
        output_stride: Stride of the coarsest features; further strides become dilations. None uses the encoder's own.
        rates: Dilations of the separable atrous branches.
        channels: Output channels of each branch and of the decoder's convolutions.
        low_level_channels: Channels to which the stride-4 features are reduced.
    """

    encoder: str = "resnet50"
    output_stride: Literal[8, 16, 32] | None = None
    rates: tuple[int, ...] = (6, 12, 18)
    channels: int = 256
    low_level_channels: int = 48
