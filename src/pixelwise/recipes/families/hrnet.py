"""HRNetV2, plain and with object-contextual representations."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.model import Spec, register_spec


@register_spec
class HRNetSpec(Spec, frozen=True, kw_only=True, tag="hrnet"):
    """HRNetV2 (Wang et al. 2019, arXiv:1908.07919) with its two-convolution head.

    Attributes:
        variant: Width and depth of the network.
    """

    variant: Literal["w18", "w18-small-v1", "w18-small-v2", "w48"] = "w18"


@register_spec
class OCRNetSpec(Spec, frozen=True, kw_only=True, tag="ocrnet"):
    """HRNetV2 with object-contextual representations (Yuan et al. 2020, arXiv:1909.11065).

    Attributes:
        variant: Width and depth of the HRNet.
        channels: Channels of the pixel representations.
        key_channels: Channels of the attention's keys.
    """

    variant: Literal["w18", "w18-small-v1", "w18-small-v2", "w48"] = "w48"
    channels: int = 512
    key_channels: int = 256
