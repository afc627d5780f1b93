"""What a term of the loss is: a frozen struct of its weight and its options, no torch.

A term registers its struct; the name it registers is what TOML says. The function that computes it is registered for
the struct by `pixelwise.losses.term.computes`, and is imported when a training begins. Ours are in
`pixelwise.recipes.terms`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.plugins import Registry
from pixelwise.recipes.schema.base import Part
from pixelwise.suggestions import did_you_mean


class Term(Part, frozen=True, kw_only=True):
    """Base of the terms: immutable, unknown fields refused. A subclass adds its options, each with a default.

    Attributes:
        weight: What the term is multiplied by before it is added to the others; 0 is off.
        name: The name it is registered under.
        single_label: Whether it is defined where a pixel has one class.
        multi_label: Whether it is defined where a pixel may have several classes, or none (`data.multilabel`).
        full_size: Whether it always compares at the size of the labels, whatever `loss.compare_at` says.
        needs_classes: Whether it needs to know which classes each image of a batch holds. They are looked up by who
            loads the batch, since asking for them later would wait for a GPU. Only for one class per pixel.
    """

    name: ClassVar[str] = ""
    single_label: ClassVar[bool] = True
    multi_label: ClassVar[bool] = False
    full_size: ClassVar[bool] = False
    needs_classes: ClassVar[bool] = False

    weight: float = 1.0


TERMS: Registry[type[Term]] = Registry("loss term", RecipeError, "R274", built_in=("pixelwise.recipes.terms",))
"""Name -> struct of a term."""
AnyTerm = TypeVar("AnyTerm", bound=Term)


def register_term(name: str) -> Callable[[type[AnyTerm]], type[AnyTerm]]:
    """Register a term under a name: a decorator for its struct.

    Raises:
        TypeError: It is no subclass of `Term`, an option has no default, or the name is no plain word.
        RecipeError: R234, another term has the name.
    """

    def register(term: type[AnyTerm]) -> type[AnyTerm]:
        if not (isinstance(term, type) and issubclass(term, Term)):
            raise TypeError(f"{term!r} is no subclass of {Term.__name__}")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
            raise TypeError(f"'{name}' cannot name a loss term; expected letters, digits, - and _")
        required = [field.name for field in msgspec.structs.fields(term) if field.required]
        if required:
            raise TypeError(f"{term.__name__}.{required[0]} has no default; every option of a loss term needs one")
        TERMS.add(name, term)
        term.name = name
        return term

    return register


def term_from_plain(name: str, options: Any) -> Term:
    """The term of that name with its weight and options.

    Args:
        name: As it was registered.
        options: A mapping as TOML gives it, or the struct itself.

    Raises:
        RecipeError: R274, there is no such term; R202, it has no such option; R203, an option is wrong.
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
