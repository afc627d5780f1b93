"""PIDNet, three branches for details, context and boundaries."""

from __future__ import annotations

from typing import ClassVar, Literal

from pixelwise.recipes.schema.model import Spec, register_spec


@register_spec
class PIDNetSpec(Spec, frozen=True, kw_only=True, tag="pidnet"):
    """PIDNet (Xu et al. 2023, arXiv:2206.02066).

    Attributes:
        variant: Width and depth of the network: small, medium or large.
    """

    boundary_head: ClassVar[bool] = True

    variant: Literal["s", "m", "l"] = "s"
