"""DeepLabV3, atrous spatial pyramid pooling on the coarsest features."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.model import Spec, register_spec


@register_spec
class DeepLabV3Spec(Spec, frozen=True, kw_only=True, tag="deeplabv3"):
    """DeepLabV3 (Chen et al. 2017, arXiv:1706.05587) as torchvision builds it.

    Attributes:
        encoder: Name of the encoder; `mobilenet_v3_large_dilated` is torchvision's.
        output_stride: Stride of the coarsest features; further strides become dilations. None uses the encoder's own.
        rates: Dilations of the atrous 3x3 branches.
        channels: Output channels of each branch and of the convolutions after them.
        auxiliary_channels: Channels of the auxiliary head's 3x3 convolution; None omits the head.
        auxiliary_feature: Index of the encoder feature that the auxiliary head reads; -2 is the one before the
            coarsest.
    """

    encoder: str = "resnet50"
    output_stride: Literal[8, 16, 32] | None = None
    rates: tuple[int, ...] = (12, 24, 36)
    channels: int = 256
    auxiliary_channels: int | None = None
    auxiliary_feature: int = -2
