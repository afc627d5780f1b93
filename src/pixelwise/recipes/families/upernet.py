"""UPerNet, pyramid pooling and a feature pyramid over every scale of an encoder."""

from __future__ import annotations

from pixelwise.recipes.schema.model import Spec, register_spec


@register_spec
class UPerNetSpec(Spec, frozen=True, kw_only=True, tag="upernet"):
    """UPerNet (Xiao et al. 2018, arXiv:1807.10221), the usual head for Swin and ConvNeXt.

    Attributes:
        encoder: Name of the encoder: `swin_tiny`, `swin_small`, `swin_base`, timm's `convnext_tiny`, or any other
            encoder with several scales.
        normalize_features: Whether every feature map is normalised over its channels before the head reads it, as is
            usual for Swin and ConvNeXt.
        drop_path: Probability that an image skips the last block of the encoder in training; it grows linearly from 0
            at the first block. Only Swin and those of timm's networks that skip blocks can have more than 0.
        bins: Side lengths of the pooling grids.
        channels: Output channels of every convolution of the head.
        auxiliary_channels: Channels of the auxiliary head's 3x3 convolution, on the features before the coarsest;
            None omits the head.
    """

    encoder: str = "swin_tiny"
    normalize_features: bool = True
    drop_path: float = 0.0
    bins: tuple[int, ...] = (1, 2, 3, 6)
    channels: int = 512
    auxiliary_channels: int | None = None
