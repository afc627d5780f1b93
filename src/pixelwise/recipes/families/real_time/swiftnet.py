"""SwiftNet, a ladder of upsampling blocks."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.model import Preprocessing, Spec, register_spec

SWIFTNET = Preprocessing(mean=(73.15 / 255, 82.90 / 255, 72.3 / 255), std=(47.67 / 255, 48.49 / 255, 47.73 / 255))


@register_spec
class SwiftNetSpec(Spec, frozen=True, kw_only=True, tag="swiftnet"):
    """SwiftNet, single scale (Orsic et al. 2019, arXiv:1903.08469).

    Attributes:
        encoder: Name of the encoder; ResNet-18 as in the published code, MobileNetV2 as in the published row.
    """

    encoder: Literal["resnet18", "mobilenetv2_100"] = "resnet18"
    preprocessing: Preprocessing = SWIFTNET
