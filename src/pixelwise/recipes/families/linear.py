"""A linear classifier on an encoder's features."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.model import Spec, register_spec


@register_spec
class LinearSpec(Spec, frozen=True, kw_only=True, tag="linear"):
    """Normalisation and one 1x1 convolution on the coarsest features: how good an encoder is by itself.

    Attributes:
        encoder: Name of the encoder.
        output_stride: Stride of its coarsest features; strides beyond become dilations. None: the encoder's own.
    """

    encoder: str = "resnet50"
    output_stride: Literal[8, 16, 32] | None = None
