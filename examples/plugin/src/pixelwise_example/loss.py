"""A loss term: PolyLoss, cross entropy with a first-order correction.

Leng et al., ICLR 2022, arXiv:2204.12511: `-ln p + epsilon (1 - p)`, where p is the probability of a pixel's class.
PyTorch is not imported before the loss is computed, so that `pixelwise show` stays fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pixelwise.errors import RecipeError
from pixelwise.losses.term import SingleLabel, computes
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.schema.terms import Term, register_term

if TYPE_CHECKING:
    from torch import Tensor


@register_term("poly")
class Poly(Term, frozen=True, kw_only=True):
    """PolyLoss over labelled pixels.

    Attributes:
        epsilon: Weight of the correction; 0 gives cross entropy.
    """

    epsilon: float = 1.0

    def __post_init__(self) -> None:
        if self.epsilon < -1:
            raise RecipeError(
                "R203",
                f"loss.terms.poly.epsilon is {self.epsilon}; expected -1 or more, since below it the loss rewards "
                "misclassified pixels",
                "use for example 1",
            )


@computes(Poly)
def poly_term(seen: SingleLabel, term: Poly) -> Tensor:
    """Mean of `-ln p + epsilon (1 - p)` over labelled pixels; 0 if no pixel is labelled."""
    valid = seen.labels != IGNORE
    targets = seen.labels.long().where(valid, 0)
    log_probability = seen.logits.log_softmax(1).gather(1, targets.unsqueeze(1)).squeeze(1)
    value = -log_probability + term.epsilon * (1 - log_probability.exp())
    return value.where(valid, 0).sum() / valid.sum().clamp(min=1)
