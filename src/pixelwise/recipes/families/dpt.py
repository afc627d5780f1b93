"""DPT, a convolutional decoder that reads several blocks of a plain vision transformer."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.model import Spec, register_spec


@register_spec
class DPTSpec(Spec, frozen=True, kw_only=True, tag="dpt"):
    """DPT (Ranftl et al. 2021, arXiv:2103.13413): four blocks of a transformer become a pyramid that is fused.

    Attributes:
        encoder: Name of the encoder: a plain transformer of timm, such as `vit_small_patch14_reg4_dinov2`,
            `vit_small_patch16_dinov3_qkvb` or one of their larger sisters.
        taps: The four blocks that are read, from 0; None: the last one of each quarter, such as 2, 5, 8 and 11 of 12.
        normalize_features: Whether the encoder's last normalisation is applied after every one of these blocks, as is
            usual for DINOv2 and DINOv3; in the original, it is left out.
        readout: What becomes of the class token: `ignore` leaves it out; `project` joins it to every patch and projects
            both to the width of the encoder, as in the original.
        reassembled: Channels of the four scales of the pyramid, from fine to coarse; None: an eighth, a quarter, half
            and all of the encoder's width.
        channels: Channels of the decoder: 256 in the original; 64 and 128 suit small and base transformers.
        align_corners: Whether the logits are brought from half the size of the image to its size with aligned corners,
            as in the authors' code; mmsegmentation aligns edges.
    """

    encoder: str = "vit_small_patch14_reg4_dinov2"
    taps: tuple[int, ...] | None = None
    normalize_features: bool = True
    readout: Literal["ignore", "project"] = "ignore"
    reassembled: tuple[int, ...] | None = None
    channels: int = 64
    align_corners: bool = False
