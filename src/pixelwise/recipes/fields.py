"""The fields of recipes: their paths, sentences, accepted values and defaults, and short names for them.

The sentence of a field is that of the `Attributes:` section of its class, so code, command line and documentation
cannot disagree.
"""

from __future__ import annotations

import difflib
import inspect
import re
import types
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, NamedTuple

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.options import field_texts
from pixelwise.recipes.schema.model import SPECS, Spec, family_of
from pixelwise.recipes.schema.recipe import Recipe, Role, fields_with
from pixelwise.recipes.schema.roles import bare, is_in
from pixelwise.recipes.sizes import Size

FAMILY = "model.family"
"""Path of the model family, which is the tag of its section and no field of it."""


class Field(NamedTuple):
    """A field of recipes.

    Attributes:
        path: Path of the field, such as `optimizer.lr`.
        kind: Type of its values.
        default: Default value; `msgspec.NODEFAULT` if every recipe has to set it.
        text: What it means, in one or several sentences.
        family: Model family that has the field; empty for a field that every recipe has.
    """

    path: str
    kind: Any
    default: Any
    text: str
    family: str = ""

    @property
    def leaf(self) -> str:
        """The name without its section: `lr`."""
        return self.path.rpartition(".")[2]

    @property
    def choices(self) -> tuple[str, ...]:
        """The accepted words, if only some words are accepted; true and false for a switch."""
        return choices_of(self.kind)


def fields_of(model: type[Spec] | None = None) -> tuple[Field, ...]:
    """Every field of a recipe, in the order of its sections.

    Args:
        model: Type of the network's section; None for the fields of all families.
    """
    found = [field for field in _own_fields() if field.path.partition(".")[0] != "model"]
    specs = [model] if model is not None else list(SPECS.all().values())
    networks = [field for spec in specs for field in _network_fields(spec)]
    family = Field(FAMILY, Literal[tuple(SPECS.all())], msgspec.NODEFAULT, "Family of the network.")
    place = next(number for number, field in enumerate(found) if field.path.startswith("data."))
    return (*found[:place], family, *networks, *found[place:])


def full_path(path: str) -> str:
    """The path of the field that a path, or the end of one, means: `epochs` is `schedule.epochs`.

    A path that begins with a section or a field of the recipe itself is returned as it is, right or wrong, unless the
    field is one of another section. Of several fields that end alike, the one in the fewest sections is meant: `dice`
    is `loss.dice`, not `loss.matching.dice`, so that parts that are added to a section take no name from it.

    Raises:
        RecipeError: R262, several fields in equally many sections end like this; R202, none does, or it is in another
            section.
    """
    head, _, _ = path.partition(".")
    if head in Recipe.__struct_fields__:
        _require_section(path)
        return path
    known = paths()
    found = [one for one in known if one.endswith(f".{path}")]
    outer = [one for one in found if one.count(".") == min(other.count(".") for other in found)]
    if len(outer) == 1:
        return outer[0]
    if found:
        raise RecipeError(
            "R262",
            f"'{path}' may be {_or(found)}",
            f"write the whole name, for example {found[0]}=...",
        )
    raise RecipeError(
        "R202",
        f"a recipe has no field '{path}'{_near(path, known)}",
        "`pixelwise show NAME --explain` describes every field; `pixelwise explain FIELD` one of them",
    )


def paths() -> list[str]:
    """Paths of all fields that an override can set, those of every model family included, without repetitions."""
    claim = fields_with(Role.CLAIM)
    return list(dict.fromkeys(field.path for field in fields_of() if not is_in(field.path, claim)))


def is_known(path: str) -> bool:
    """Whether a path, or the end of one, names one or several fields."""
    return path.partition(".")[0] in Recipe.__struct_fields__ or any(one.endswith(f".{path}") for one in paths())


def find_fields(name: str) -> list[Field]:
    """The fields of this path or of a path with this end, of all model families; empty if there is none."""
    return [field for field in fields_of() if field.path == name or field.path.endswith(f".{name}")]


@cache
def sections() -> dict[str, str]:
    """Path of each section that all recipes can have -> what it holds, in one sentence."""
    return dict(_sections(Recipe, ""))


def accepted(kind: Any) -> str:
    """The values of a type in words: `a whole number`, `[height, width]`, `sgd, adam or adamw`."""
    kind = bare(kind)
    if kind == Size:
        return "[height, width]"
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return _or([str(part) for part in parts])
    if origin in (typing.Union, types.UnionType):
        rest = [part for part in parts if part is not type(None)]
        words = [accepted(part) for part in rest]
        return words[0] if len(words) == 1 else "; or ".join(words)
    if origin is tuple and parts[-1:] == (...,):
        return f"a list of {_MANY.get(bare(parts[0]), 'tables')}"
    if origin is tuple:
        return f"[{', '.join(_ONE.get(part, 'a value') for part in parts)}]"
    if origin is dict:
        return "a table such as {name = 0}"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return "a table of fields"
    return _ONE.get(kind, "a value")


def choices_of(kind: Any) -> tuple[str, ...]:
    """The accepted words of a type; empty if it takes anything but a choice between words."""
    kind = bare(kind)
    if kind is bool:
        return ("true", "false")
    if typing.get_origin(kind) is Literal:
        return tuple(map(str, typing.get_args(kind)))
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(kind) if part is not type(None)]
        return tuple(choice for part in parts for choice in choices_of(part))
    return ()


def is_optional(kind: Any) -> bool:
    """Whether a field may be unset."""
    return type(None) in typing.get_args(bare(kind))


_ONE = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", Any: "a value"}
_MANY = {int: "whole numbers", float: "numbers", str: "texts", tuple[int, int, int]: "colours [red, green, blue]"}


def _or(words: list[str]) -> str:
    words = list(dict.fromkeys(words))
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _require_section(path: str) -> None:
    """Refuse a field in the wrong section, such as `optimizer.epochs`, with the right one."""
    section, _, leaf = path.rpartition(".")
    own = [field.path for field in _own_fields()]
    inside = [one.rpartition(".")[2] for one in own if one.rpartition(".")[0] == section]
    if not inside or leaf in inside or path in sections() or difflib.get_close_matches(leaf, inside, n=1, cutoff=0.8):
        return
    elsewhere = [one for one in paths() if one.rpartition(".")[2] == leaf]
    if elsewhere:
        raise RecipeError(
            "R202",
            f"{section} has no field '{leaf}'; did you mean {_or([repr(one) for one in elsewhere])}?",
            f"fields of {section}: {', '.join(inside)}",
        )


def _near(path: str, known: list[str]) -> str:
    """The fields that a mistyped path most likely means, by its last word and as a whole."""
    word = path.rpartition(".")[2]
    same = [one for one in known if one.rpartition(".")[2] == word]
    leaves: dict[str, list[str]] = {}
    for one in known:
        leaves.setdefault(one.rpartition(".")[2], []).append(one)
    close = [one for leaf in difflib.get_close_matches(word, leaves, n=2, cutoff=0.8) for one in leaves[leaf]]
    whole = difflib.get_close_matches(path, known, n=2, cutoff=0.7) if "." in path else []
    # A mistyped section is nearer than a section of another kind.
    same.sort(key=lambda one: one not in whole)
    # A word of a name says more than a name that is spelled alike: `batch` means `batch_size` rather than `match`.
    parts = [one for one in known if word in one.rpartition(".")[2].split("_")]
    near = list(dict.fromkeys([*same, *(parts or close)] or whole or _described_as(word)))[:4]
    return f"; did you mean {_or([f'{one!r}' for one in near])}?" if near else ""


def _described_as(word: str) -> list[str]:
    """The fields whose sentences hold the words of a name, the shortest sentence first: `learning_rate`."""
    words = set(word.lower().split("_"))
    told = {field.path: field.text.lower() for field in fields_of()}
    found = [path for path, text in told.items() if words <= set(re.findall(r"[a-z]+", text))]
    return sorted(found, key=lambda path: len(told[path]))[:2]


@cache
def _own_fields() -> tuple[Field, ...]:
    return tuple(_fields(Recipe, ""))


@cache
def _network_fields(spec: type[Spec]) -> tuple[Field, ...]:
    return tuple(_fields(spec, "model.", family_of(spec)))


def _fields(kind: type[msgspec.Struct], prefix: str, family: str = "", whole: Any = None) -> Iterator[Field]:
    """The fields of a section; `whole` is the default of the section, if it has one, such as a normalisation."""
    texts = field_texts(kind)
    for field in msgspec.structs.fields(kind):
        inner = section_of(field.type)
        if inner is Spec:
            continue
        default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
        if inner is not None:
            yield from _fields(inner, f"{prefix}{field.name}.", family, default if isinstance(default, inner) else None)
        else:
            default = default if whole is None else getattr(whole, field.name)
            yield Field(f"{prefix}{field.name}", bare(field.type), default, texts.get(field.name, ""), family)


def _sections(kind: type[msgspec.Struct], prefix: str) -> Iterator[tuple[str, str]]:
    for field in msgspec.structs.fields(kind):
        inner = section_of(field.type)
        if inner is not None:
            yield f"{prefix}{field.name}", _first_sentence(inner)
            yield from _sections(inner, f"{prefix}{field.name}.")


def _first_sentence(kind: type[msgspec.Struct]) -> str:
    if kind is Spec:
        return "The network: its family, its encoder and the normalisation of its input."
    return " ".join(inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].split())


def section_of(annotation: Any) -> type[msgspec.Struct] | None:
    """The struct of a section, also of one that may be unset; None for a plain field."""
    annotation = bare(annotation)
    for part in (annotation, *typing.get_args(annotation)):
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            union = typing.get_origin(annotation) in (typing.Union, types.UnionType, None)
            return part if union else None
    return None
