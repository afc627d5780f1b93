"""SegFormer, a transformer with a head that projects and fuses every scale."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.model import Spec, register_spec


@register_spec
class SegFormerSpec(Spec, frozen=True, kw_only=True, tag="segformer"):
    """SegFormer (Xie et al. 2021, arXiv:2105.15203): every scale is projected, and they are fused at stride 4.

    Attributes:
        encoder: Name of the encoder: `mit_b0` .. `mit_b5`, or any encoder with four scales.
        head: Type of the projections. `mlp`: linear, with bias, as published and in Hugging Face; `convolution`: 1x1
            convolutions with normalisation, as in mmsegmentation and United Perception.
        channels: Output channels of the projections and of the convolution that fuses them.
    """

    encoder: str = "mit_b0"
    head: Literal["mlp", "convolution"] = "mlp"
    channels: int = 256
