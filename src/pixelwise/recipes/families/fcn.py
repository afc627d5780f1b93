"""FCN, convolutions on the coarsest features."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.model import Spec, register_spec


@register_spec
class FCNSpec(Spec, frozen=True, kw_only=True, tag="fcn"):
    """FCN head (Long et al. 2015, arXiv:1411.4038) on the coarsest features of a dilated encoder.

    Attributes:
        encoder: Name of the encoder.
        output_stride: Stride of the coarsest features; further strides become dilations. None uses the encoder's own.
        convolutions: Number of 3x3 convolutions before the classifier.
        channels: Output channels of these convolutions.
        auxiliary_channels: Channels of the auxiliary head's 3x3 convolution, on the features before the coarsest;
            None omits the head.
    """

    encoder: str = "resnet50"
    output_stride: Literal[8, 16, 32] | None = None
    convolutions: int = 2
    channels: int = 512
    auxiliary_channels: int | None = None
