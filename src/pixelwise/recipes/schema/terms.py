"""The base of loss terms: frozen structs of a weight and options, without torch.

A term registers its struct under the name used in TOML. The function that computes it is registered for the struct by
`pixelwise.losses.term.computes`, and is imported when training begins. The built-in terms are in
`pixelwise.recipes.loss_terms`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import msgspec

from pixelwise.entry_points import TAKEN
from pixelwise.errors import RecipeError
from pixelwise.plugins import Registry
from pixelwise.recipes.schema.base import Part, require_writable
from pixelwise.suggestions import did_you_mean


class Term(Part, frozen=True, kw_only=True):
    """Base of the terms: immutable, unknown fields refused. A subclass adds its options, each with a default.

    Attributes:
        weight: Factor of the term in the sum of all terms; 0 is off.
        name: Name under which the term is registered.
        single_label: Whether the term is defined for pixels of exactly one class.
        multi_label: Whether it is defined for pixels of several classes or none (`data.multilabel`).
        full_size: Whether it is always computed at the size of the labels, regardless of `loss.compare_at`.
        needs_classes: Whether it needs the set of classes in each image of a batch. The data loader determines them,
            because looking them up later would have to wait for the GPU. Only for one class per pixel.
        over_ranks: Whether its function is the loss of the whole batch when several processes have parts of it: it adds
            up with `seen.ranks.sum`. Others are trained only where every process has whole batches.
        needs_boundary_head: Whether it needs a network with a boundary head (`Spec.boundary_head`), whose logits are
            `seen.boundary_logits()`. Only for one class per pixel.
    """

    name: ClassVar[str] = ""
    single_label: ClassVar[bool] = True
    multi_label: ClassVar[bool] = False
    full_size: ClassVar[bool] = False
    needs_classes: ClassVar[bool] = False
    over_ranks: ClassVar[bool] = False
    needs_boundary_head: ClassVar[bool] = False

    weight: float = 1.0


TERMS: Registry[type[Term]] = Registry("loss term", RecipeError, "R274", built_in=("pixelwise.recipes.loss_terms",))
"""Term structs by name."""
AnyTerm = TypeVar("AnyTerm", bound=Term)


def register_term(name: str) -> Callable[[type[AnyTerm]], type[AnyTerm]]:
    """Register a loss term under a name by decorating its struct.

    Raises:
        TypeError: The class is not a subclass of `Term`, an option has no default or loses None in TOML, or the
            name is not a plain word.
        RecipeError: R234, another term or another field of `[loss]` has the name.
    """

    def register(term: type[AnyTerm]) -> type[AnyTerm]:
        if not (isinstance(term, type) and issubclass(term, Term)):
            raise TypeError(f"{term!r} is not a subclass of {Term.__name__}")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
            raise TypeError(
                f"loss term '{name}': expected a name of letters, digits, - and _ that starts with a letter"
            )
        required = [field.name for field in msgspec.structs.fields(term) if field.required]
        if required:
            raise TypeError(f"{term.__name__}.{required[0]} has no default; every option of a loss term needs one")
        require_writable(term)
        if not term.__module__.startswith("pixelwise."):
            _refuse_field(name)
        TERMS.add(name, term)
        term.name = name
        return term

    return register


def _refuse_field(name: str) -> None:
    """Refuse a name that a recipe could not use: `[loss]` itself has a field of that name, which is no term (R234)."""
    from pixelwise.recipes.schema.loss import Loss  # which is built from the terms

    if name in Loss.__struct_fields__ and name not in TERMS.own():
        raise RecipeError(
            TAKEN, f"the loss term '{name}' has the name of a field of [loss]", "choose another name for it"
        )


def term_from_plain(name: str, options: Any) -> Term:
    """The term of this name with its weight and options.

    Args:
        name: Registered name of the term.
        options: Mapping of options as read from TOML, or the term itself.

    Raises:
        RecipeError: R274, there is no such term; R202, the term has no such option; R203, the value of an option is
            not valid.
    """
    kind, where = TERMS.find(name, f"loss.terms.{name}: "), f"loss.terms.{name}"
    if isinstance(options, kind):
        return options
    if not isinstance(options, Mapping):
        raise RecipeError("R203", f"{where} is {options!r}; expected a table", f"for example {where}.weight=0.5")
    for option in options:
        if option not in kind.__struct_fields__:
            raise RecipeError(
                "R202",
                f"{where} has no field '{option}'{did_you_mean(option, kind.__struct_fields__)}",
                f"fields of {where}: {', '.join(kind.__struct_fields__)}",
            )
    try:
        return msgspec.convert(options, kind)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, RecipeError):
            raise error.__cause__ from None
        text, _, path = str(error).partition(" - at `$")
        help = f"the fields of {where} and their defaults: {msgspec.to_builtins(kind())}"
        raise RecipeError("R203", f"{where}{path.rstrip('`')}: {text}", help) from None
