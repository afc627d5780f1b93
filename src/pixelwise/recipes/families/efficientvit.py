"""EfficientViT-Seg, a light head that adds up three scales of an EfficientViT."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.model import Spec, register_spec


@register_spec
class EfficientViTSegSpec(Spec, frozen=True, kw_only=True, tag="efficientvit-seg"):
    """EfficientViT-Seg (Cai et al. 2023, arXiv:2205.14756): strides 8, 16 and 32, added up at stride 8.

    Attributes:
        encoder: Name of the encoder: `efficientvit_b0` .. `efficientvit_b3`, `efficientvit_l1` .. `efficientvit_l3`, or
            any encoder with feature maps of strides 8, 16 and 32.
        series: Blocks of the head. `b`: inverted bottlenecks with hard swish; `l`: fused ones with GELU.
        channels: Channels in which the scales are added up.
        depth: Number of residual blocks after the sum.
        expansion: Inner channels of a block, as a multiple of `channels`.
        final_expansion: Channels of the convolution before the classifier, as a multiple of `channels`; 0: there is
            none.
    """

    encoder: str = "efficientvit_b0"
    series: Literal["b", "l"] = "b"
    channels: int = 32
    depth: int = 1
    expansion: int = 4
    final_expansion: int = 4
