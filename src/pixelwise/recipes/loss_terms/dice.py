"""Soft Dice loss: `loss.dice`."""

from __future__ import annotations

from typing import ClassVar

from pixelwise.recipes.schema.terms import Term, register_term


@register_term("dice")
class Dice(Term, frozen=True, kw_only=True):
    """1 - mean Dice coefficient over the classes that occur in the labels (arXiv:1606.04797)."""

    multi_label: ClassVar[bool] = True
    over_ranks: ClassVar[bool] = True
