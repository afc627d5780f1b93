"""LR-ASPP, the lightweight head of MobileNetV3."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.model import Spec, register_spec


@register_spec
class LRASPPSpec(Spec, frozen=True, kw_only=True, tag="lraspp"):
    """LR-ASPP (Howard et al. 2019, arXiv:1905.02244) as torchvision builds it.

    Attributes:
        encoder: Name of the encoder; `mobilenet_v3_large_dilated` is torchvision's.
        output_stride: Stride of the coarsest features; further strides become dilations. None uses the encoder's own.
        channels: Output channels of the gated branch.
    """

    encoder: str = "mobilenet_v3_large_dilated"
    output_stride: Literal[8, 16, 32] | None = None
    channels: int = 128
