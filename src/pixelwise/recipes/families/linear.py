"""A linear classifier on an encoder's features."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.model import Spec, register_spec


@register_spec
class LinearSpec(Spec, frozen=True, kw_only=True, tag="linear"):
    """Normalisation and one 1x1 convolution on the coarsest features, to assess an encoder by itself.

    Attributes:
        encoder: Name of the encoder.
        output_stride: Stride of the coarsest features; further strides become dilations. None uses the encoder's own.
    """

    encoder: str = "resnet50"
    output_stride: Literal[8, 16, 32] | None = None
