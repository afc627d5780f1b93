"""Tversky loss: `loss.tversky`, `loss.tversky_alpha`, `loss.tversky_beta`."""

from __future__ import annotations

from typing import ClassVar

from pixelwise.recipes.schema.base import require
from pixelwise.recipes.schema.terms import Term, register_term


@register_term("tversky")
class Tversky(Term, frozen=True, kw_only=True):
    """1 - mean Tversky index over the classes that occur in the labels (arXiv:1706.05721).

    Attributes:
        alpha: Cost of a false positive.
        beta: Cost of a false negative.
    """

    multi_label: ClassVar[bool] = True
    over_ranks: ClassVar[bool] = True

    alpha: float = 0.3
    beta: float = 0.7

    def __post_init__(self) -> None:
        require(
            min(self.alpha, self.beta) >= 0 and self.alpha + self.beta > 0,
            f"loss.tversky_alpha is {self.alpha} and loss.tversky_beta is {self.beta}; expected 0 or more, not both "
            "0: one kind of error has to cost something",
            "for example 0.3 and 0.7",
        )
