"""An encoder that works with every decoder of Pixelwise: `model.encoder=example-tiny`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pixelwise.backbones.building import expect_output_stride, register_encoder

if TYPE_CHECKING:
    from pixelwise_example.networks import Tiny

NAME = "example-tiny"


@register_encoder(NAME)
def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> Tiny:
    """Build the encoder; it always returns all of its feature maps."""
    from pixelwise_example.networks import Tiny

    expect_output_stride(name, output_stride, 16)
    return Tiny(in_channels)
