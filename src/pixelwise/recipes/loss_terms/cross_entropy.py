"""Cross entropy: `loss.cross_entropy`, `loss.label_smoothing`, `loss.ohem`."""

from __future__ import annotations

from typing import ClassVar

from pixelwise.recipes.schema.base import require_below_one
from pixelwise.recipes.schema.loss import Ohem
from pixelwise.recipes.schema.terms import Term, register_term


@register_term("cross_entropy")
class CrossEntropy(Term, frozen=True, kw_only=True):
    """Cross entropy over labelled pixels; for multi-label data, binary cross entropy over pixels and classes.

    Attributes:
        label_smoothing: Fraction of the target that is spread over all classes.
        ohem: Online hard example mining; None uses all pixels.
    """

    multi_label: ClassVar[bool] = True
    over_ranks: ClassVar[bool] = True

    label_smoothing: float = 0.0
    ohem: Ohem | None = None

    def __post_init__(self) -> None:
        require_below_one("loss.label_smoothing", self.label_smoothing, "0 is off; 1 would erase the labels")
