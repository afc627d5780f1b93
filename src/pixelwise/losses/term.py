"""What computes the terms of a loss: functions that are registered for the structs of terms. Never imports torch.

@computes(Focal)
def focal_term(seen: SingleLabel, term: Focal) -> Tensor: ...

@computes(Focal, multilabel=True)
def binary_focal_term(seen: MultiLabel, term: Focal) -> Tensor: ...
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from pixelwise.entry_points import TAKEN
from pixelwise.errors import RecipeError
from pixelwise.plugins import import_plugins
from pixelwise.recipes.schema.terms import TERMS, Term

if TYPE_CHECKING:
    from torch import Tensor

Normalize = Literal["valid", "all"]


class SingleLabel(NamedTuple):
    """What a term sees of a head where a pixel has one class.

    Attributes:
        logits: (B, K, H, W), float32 or more precise.
        labels: (B, H, W), 0..K-1 or 255 where ignored; of the logits' size.
        class_weights: (K,), or None where all classes weigh the same.
        normalize: What a sum over pixels is divided by, see `Loss.normalize`.
        classes: The classes of each image, for terms that say `needs_classes`; None: nobody looked them up, or the
            labels were made smaller and may have lost some.
    """

    logits: Tensor
    labels: Tensor
    class_weights: Tensor | None = None
    normalize: Normalize = "valid"
    classes: Sequence[Sequence[int]] | None = None


class MultiLabel(NamedTuple):
    """What a term sees of a head where a pixel may have several classes, or none.

    Attributes:
        logits: (B, K, H, W), float32 or more precise.
        targets: bool (B, K, H, W), which pixels have which class.
        valid: bool (B, 1, H, W), false where ignored.
        class_weights: (K,), of the pixels that have a class; None where they are all 1.
        normalize: What a sum over pixels and classes is divided by, see `Loss.normalize`.
    """

    logits: Tensor
    targets: Tensor
    valid: Tensor
    class_weights: Tensor | None = None
    normalize: Normalize = "valid"


Function = Callable[[Any, Any], "Tensor"]
"""From what a term sees and the term's own struct to a scalar: 0 with zero gradients where nothing is labelled."""
AnyFunction = TypeVar("AnyFunction", bound=Function)

FUNCTIONS: dict[tuple[str, bool], Function] = {}
"""(Name of a term, whether a pixel may have several classes) -> its function, of all that were needed so far.

No `Registry`, which would import all of ours to see whether a name is taken: that of a term is, by the term.
"""
_OURS = "pixelwise.losses"
"""The package whose modules hold the functions of our terms, each in the module of the term's name."""


def computes(term: type[Term], *, multilabel: bool = False) -> Callable[[AnyFunction], AnyFunction]:
    """Register the decorated function as what computes a term.

    Args:
        term: The struct of the term.
        multilabel: Where a pixel may have several classes, or none; else where it has one.

    Raises:
        TypeError: `term` is not registered by `register_term`, or says that it is not defined for such labels.
        RecipeError: R234, the term has a function already.
    """
    if not (isinstance(term, type) and issubclass(term, Term)) or TERMS.get(term.name) is not term:
        raise TypeError(
            f"{term!r} is no loss term; decorate its class with pixelwise.recipes.schema.terms.register_term"
        )
    if not (term.multi_label if multilabel else term.single_label):
        field = "multi_label" if multilabel else "single_label"
        raise TypeError(f"{term.__name__}.{field} is False, so nothing computes it there")

    def register(function: AnyFunction) -> AnyFunction:
        before = FUNCTIONS.get((term.name, multilabel))
        if before is not None and _place(before) != _place(function):
            raise RecipeError(
                TAKEN,
                f"the loss term '{term.name}' is computed by {_place(before)} and again by {_place(function)}",
                "take one of them away",
            )
        FUNCTIONS[term.name, multilabel] = function
        return function

    return register


def function_of(term: Term, *, multilabel: bool) -> Function:
    """What computes a term; its module is imported when it is needed first.

    Raises:
        RecipeError: R275, nothing does.
    """
    key = term.name, multilabel
    if key not in FUNCTIONS:
        if term.name in TERMS.own():
            importlib.import_module(f"{_OURS}.{term.name}")
        else:
            import_plugins()
    if key not in FUNCTIONS:
        kind = type(term)
        raise RecipeError(
            "R275",
            f"nothing computes the loss term '{term.name}', which is from {kind.__module__}"
            + (", of multi-label data" if multilabel else ""),
            f"import the module where a function is decorated with pixelwise.losses.term.computes({kind.__name__})",
        )
    return FUNCTIONS[key]


def _place(function: Function) -> str:
    """Where a function is defined; equal for one that is defined again, as a notebook's cell does."""
    return f"{function.__module__}.{getattr(function, '__qualname__', '')}"
