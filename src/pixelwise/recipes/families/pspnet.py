"""PSPNet, pyramid pooling on the coarsest features."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.model import Spec, register_spec


@register_spec
class PSPNetSpec(Spec, frozen=True, kw_only=True, tag="pspnet"):
    """PSPNet (Zhao et al. 2017, arXiv:1612.01105): pyramid pooling on the coarsest features.

    Attributes:
        encoder: Name of the encoder.
        output_stride: Stride of the coarsest features; further strides become dilations. None uses the encoder's own.
        bins: Side lengths of the pooling grids.
        channels: Output channels of each pooled branch and of the convolution that fuses them.
        auxiliary_channels: Channels of the auxiliary head's 3x3 convolution, on the features before the coarsest;
            None omits the head.
    """

    encoder: str = "resnet50"
    output_stride: Literal[8, 16, 32] | None = None
    bins: tuple[int, ...] = (1, 2, 3, 6)
    channels: int = 512
    auxiliary_channels: int | None = None
