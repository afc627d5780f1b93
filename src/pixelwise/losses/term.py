"""The registry of functions that compute loss terms; each is registered for the struct of its term. No torch import.

@computes(Focal)
def focal_term(seen: SingleLabel, term: Focal) -> Tensor: ...

@computes(Focal, multilabel=True)
def binary_focal_term(seen: MultiLabel, term: Focal) -> Tensor: ...
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from pixelwise.entry_points import TAKEN, Plugin, undo
from pixelwise.errors import RecipeError
from pixelwise.plugins import import_plugins
from pixelwise.ranks.alone import ALONE, Ranks
from pixelwise.recipes.schema.terms import TERMS, Term

if TYPE_CHECKING:
    from torch import Tensor

Normalize = Literal["valid", "all"]


class SingleLabel(NamedTuple):
    """Inputs of a loss term for one head, if each pixel has one class.

    Attributes:
        logits: (B, K, H, W), float32 or more precise.
        labels: (B, H, W), 0..K-1 or 255 (ignored); of the same size as the logits.
        class_weights: (K,), or None for equal weights.
        normalize: Divisor of a sum over pixels, see `Loss.normalize`.
        classes: The classes of each image, for terms with `needs_classes`; None: they were not determined, or the
            labels were reduced in size and may have lost some.
        ranks: The processes that have the other images of the batch; see `Term.over_ranks`.
        boundaries: (B, 1, H, W), logits of the network's boundary head, in the main head's inputs; None if it has none.
    """

    logits: Tensor
    labels: Tensor
    class_weights: Tensor | None = None
    normalize: Normalize = "valid"
    classes: Sequence[Sequence[int]] | None = None
    ranks: Ranks = ALONE
    boundaries: Tensor | None = None

    def boundary_logits(self) -> Tensor:
        """The logits of the boundary head, (B, H, W), for terms with `needs_boundary_head`.

        Raises:
            ValueError: The network has no boundary head.
        """
        if self.boundaries is None:
            raise ValueError("the network has no boundary head, which the loss term needs")
        return self.boundaries[:, 0]


class MultiLabel(NamedTuple):
    """Inputs of a loss term for one head, if a pixel may have several classes, or none.

    Attributes:
        logits: (B, K, H, W), float32 or more precise.
        targets: bool (B, K, H, W), the pixels of each class.
        valid: bool (B, 1, H, W), the pixels that are not ignored.
        class_weights: (K,), weights of the pixels that have a class; None if all are 1.
        normalize: Divisor of a sum over pixels and classes, see `Loss.normalize`.
        ranks: The processes that have the other images of the batch; see `Term.over_ranks`.
    """

    logits: Tensor
    targets: Tensor
    valid: Tensor
    class_weights: Tensor | None = None
    normalize: Normalize = "valid"
    ranks: Ranks = ALONE


Function = Callable[[Any, Any], "Tensor"]
"""(Inputs, struct of the term) -> scalar, which is 0 with zero gradients if nothing is labelled."""
AnyFunction = TypeVar("AnyFunction", bound=Function)

FUNCTIONS: dict[tuple[str, bool], Function] = {}
"""(Name of a term, whether a pixel may have several classes) -> function, for all terms needed so far.

Not a `Registry`, which would import all built-in modules to see whether a name is taken: names are already unique among
terms.
"""
_OURS = "pixelwise.losses"
"""Package with the functions of the built-in terms, each in the module of the term's name."""


def computes(term: type[Term], *, multilabel: bool = False) -> Callable[[AnyFunction], AnyFunction]:
    """Register the decorated function as the one that computes a term.

    Args:
        term: Struct of the term.
        multilabel: Whether the function is for data where a pixel may have several classes, or none.

    Raises:
        TypeError: `term` is not registered by `register_term`, or is not defined for such labels.
        RecipeError: R234, the term already has a function, or is a built-in one.
    """
    if not (isinstance(term, type) and issubclass(term, Term)) or TERMS.get(term.name) is not term:
        raise TypeError(
            f"{term!r} is not a loss term; decorate its class with pixelwise.recipes.schema.terms.register_term"
        )
    if not (term.multi_label if multilabel else term.single_label):
        field = "multi_label" if multilabel else "single_label"
        raise TypeError(f"{term.__name__}.{field} is False; set it to True to register a function for such labels")

    is_ours = TERMS.module_of(term.name).startswith("pixelwise.")

    def register(function: AnyFunction) -> AnyFunction:
        # A built-in term's own function may not have been imported yet, and a recipe has to mean the same everywhere.
        if is_ours and not function.__module__.startswith(f"{_OURS}."):
            raise RecipeError(
                TAKEN,
                f"the loss term '{term.name}' is built in, and {_place(function)} is another function for it",
                "register a term of your own with pixelwise.recipes.schema.terms.register_term",
            )
        before = FUNCTIONS.get((term.name, multilabel))
        if before is not None and _place(before) != _place(function):
            raise RecipeError(
                TAKEN,
                f"the loss term '{term.name}' has two functions, {_place(before)} and {_place(function)}",
                "register only one of them",
            )
        FUNCTIONS[term.name, multilabel] = function
        return function

    return register


def _forget_failed(plugin: Plugin) -> None:
    """Remove the functions of modules whose import failed."""
    for key, function in list(FUNCTIONS.items()):
        if function.__module__ not in sys.modules:
            del FUNCTIONS[key]


undo.append(_forget_failed)


def function_of(term: Term, *, multilabel: bool) -> Function:
    """The function that computes a term; its module is imported on first use.

    Raises:
        RecipeError: R275, the term has no registered function.
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
            f"the loss term '{term.name}', defined in {kind.__module__}, has no registered function"
            + (" for multi-label data" if multilabel else ""),
            "import the module in which a function is decorated with "
            f"pixelwise.losses.term.computes({kind.__name__}{', multilabel=True' if multilabel else ''})",
        )
    return FUNCTIONS[key]


def _place(function: Function) -> str:
    """The qualified name of a function; equal for one that is defined again, as by rerunning a notebook cell."""
    return f"{function.__module__}.{getattr(function, '__qualname__', '')}"
