"""Cross entropy along boundaries: `loss.boundary`, `loss.boundary_width`."""

from __future__ import annotations

from typing import ClassVar

from pixelwise.recipes.schema.base import require_at_least
from pixelwise.recipes.schema.terms import Term, register_term


@register_term("boundary")
class Boundary(Term, frozen=True, kw_only=True):
    """Cross entropy over the pixels near another class.

    Attributes:
        width: Maximum distance to another class, in rows and columns, of the pixels that count.
    """

    over_ranks: ClassVar[bool] = True

    width: int = 3

    def __post_init__(self) -> None:
        require_at_least(1, "loss.boundary_width", self.width, "for example 3 pixels")
