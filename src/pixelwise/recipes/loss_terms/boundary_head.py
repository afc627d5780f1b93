"""Balanced binary cross entropy of a boundary head: `loss.terms.boundary_head`."""

from __future__ import annotations

from typing import ClassVar

from pixelwise.recipes.schema.base import require_at_least
from pixelwise.recipes.schema.terms import Term, register_term


@register_term("boundary_head")
class BoundaryHead(Term, frozen=True, kw_only=True):
    """Binary cross entropy of the boundary head, in which pixels near boundaries and all others weigh the same.

    Attributes:
        width: Distance in rows and columns within which another class has to lie for a pixel to be near a boundary.
    """

    over_ranks: ClassVar[bool] = True
    needs_boundary_head: ClassVar[bool] = True

    width: int = 2

    def __post_init__(self) -> None:
        require_at_least(1, "loss.terms.boundary_head.width", self.width, "for example 2 pixels")
