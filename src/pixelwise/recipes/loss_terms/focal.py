"""Focal loss: `loss.focal`, `loss.focal_gamma`."""

from __future__ import annotations

from typing import ClassVar

from pixelwise.recipes.schema.base import require_at_least
from pixelwise.recipes.schema.terms import Term, register_term


@register_term("focal")
class Focal(Term, frozen=True, kw_only=True):
    """Cross entropy with down-weighted well-classified pixels (arXiv:1708.02002); the class weights serve as alpha.

    Attributes:
        gamma: Focusing exponent: how strongly well-classified pixels are down-weighted.
    """

    multi_label: ClassVar[bool] = True
    over_ranks: ClassVar[bool] = True

    gamma: float = 2.0

    def __post_init__(self) -> None:
        require_at_least(0, "loss.focal_gamma", self.gamma, "for example 2; 0 is cross entropy")
