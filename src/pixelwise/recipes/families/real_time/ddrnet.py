"""DDRNet, two branches of different resolution that exchange features."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.model import Spec, register_spec


@register_spec
class DDRNetSpec(Spec, frozen=True, kw_only=True, tag="ddrnet"):
    """DDRNet (Hong et al. 2021, arXiv:2101.06085).

    Attributes:
        variant: Width of the network.
    """

    variant: Literal["23-slim", "23"] = "23-slim"
