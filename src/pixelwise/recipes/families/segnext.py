"""SegNeXt, a convolutional encoder and a head that factorises the features of the whole image."""

from __future__ import annotations

from pixelwise.recipes.schema.model import Spec, register_spec


@register_spec
class SegNeXtSpec(Spec, frozen=True, kw_only=True, tag="segnext"):
    """SegNeXt (Guo et al. 2022, arXiv:2209.08575): three scales, joined at stride 8, approximated by a few vectors.

    Attributes:
        encoder: Name of the encoder: `mscan_t`, `mscan_s`, `mscan_b`, `mscan_l`, or any other encoder with several
            scales of stride 8 or more.
        channels: Output channels of every convolution of the head, a multiple of 32.
        bases: Number of vectors whose non-negative combinations approximate the features of all pixels.
    """

    encoder: str = "mscan_t"
    channels: int = 256
    bases: int = 16
