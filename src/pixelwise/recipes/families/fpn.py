"""Semantic FPN, a feature pyramid summed at stride 4."""

from __future__ import annotations

from pixelwise.recipes.schema.model import Spec, register_spec


@register_spec
class FPNSpec(Spec, frozen=True, kw_only=True, tag="fpn"):
    """Semantic FPN (Kirillov et al. 2019, arXiv:1901.02446): a feature pyramid, summed at stride 4; any encoder.

    Attributes:
        encoder: Name of the encoder.
        channels: Channels of the feature pyramid.
        head_channels: Channels of the branches that are summed.
    """

    encoder: str = "resnet50"
    channels: int = 256
    head_channels: int = 128
