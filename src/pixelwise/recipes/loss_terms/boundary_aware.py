"""Cross entropy where the boundary head finds a boundary: `loss.terms.boundary_aware`."""

from __future__ import annotations

from typing import ClassVar

from pixelwise.recipes.schema.base import require_share
from pixelwise.recipes.schema.loss import Ohem
from pixelwise.recipes.schema.terms import Term, register_term


@register_term("boundary_aware")
class BoundaryAware(Term, frozen=True, kw_only=True):
    """Cross entropy of the main head over the pixels where the boundary head is sure of a boundary.

    Attributes:
        threshold: Score of the boundary head, 0..1, above which a pixel counts.
        ohem: Online hard example mining among these pixels; None uses all of them.
    """

    over_ranks: ClassVar[bool] = True
    needs_boundary_head: ClassVar[bool] = True

    threshold: float = 0.8
    ohem: Ohem | None = None

    def __post_init__(self) -> None:
        require_share("loss.terms.boundary_aware.threshold", self.threshold, "it is a score, for example 0.8")
