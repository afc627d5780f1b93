"""Lovász-softmax: `loss.lovasz`, `loss.lovasz_per_image`."""

from __future__ import annotations

from typing import ClassVar

from pixelwise.recipes.schema.terms import Term, register_term


@register_term("lovasz")
class Lovasz(Term, frozen=True, kw_only=True):
    """A surrogate of the mean IoU (arXiv:1705.08790).

    Attributes:
        per_image: Whether to use the IoU of each image instead of the batch's.
    """

    # Sorting for absent classes would cost far more than everything else.
    needs_classes: ClassVar[bool] = True
    over_ranks: ClassVar[bool] = True

    per_image: bool = False
