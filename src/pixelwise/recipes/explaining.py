"""Recipes as TOML with comments: what each field means, what it accepts, and the source of its value."""

from __future__ import annotations

import inspect
import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import msgspec
import tomli_w

from pixelwise.options import field_texts
from pixelwise.recipes.class_sets.tables import class_set
from pixelwise.recipes.fields import accepted, section_of
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import apply_overrides, default_of, toml_value
from pixelwise.recipes.schema.model import SPECS
from pixelwise.recipes.schema.recipe import Recipe, to_plain
from pixelwise.storage import printable
from pixelwise.storage.documents import read_toml

DEFAULT = "default"
WIDTH = 100
"""Number of characters in a line of comments, or of a list that is written on one line."""


class Layer(NamedTuple):
    """A recipe in the chain of bases that leads to the requested one, with its label in the comments."""

    label: str
    recipe: Recipe


def explain(name: str | os.PathLike[str], overrides: Sequence[str] = ()) -> str:
    """A complete recipe as TOML with comments on each field: its meaning, its values, its default and its source.

    The sources are: `default`, the default of the field; `row of page ...`, the published row with its page and code
    base; the name of a recipe or a file; `data set ...`, the definition of the data set; `changed here (was ...)` or
    `set here`, an override. Fields and sections that are not set are comments.

    Args:
        name: Name of the recipe, or path of a `.toml` file.
        overrides: Changes of the form `section.field=value`.

    Returns:
        TOML that reads back as the same recipe.

    Raises:
        RecipeError: The recipe cannot be read or an override cannot be applied.
    """
    layers = recipe_layers(os.fspath(name))
    resolved = apply_overrides(layers[-1].recipe, overrides)
    return _Writer(value_sources(layers, resolved)).written(resolved)


def readable(recipe: Recipe) -> str:
    """A complete recipe as TOML that reads back as the same recipe; comments name the fields that are not set."""
    return _Writer(None).written(recipe)


def recipe_layers(name: str) -> list[Layer]:
    """The recipe of this name, preceded by those that it is based on."""
    found = find_recipe(name)
    if not name.endswith(".toml"):
        published = found.published
        label = f"recipe {name}" if published is None else f"row of page {published.page}: {published.source}"
        return [Layer(label, found)]
    base = read_toml(Path(name)).get("base")
    before = recipe_layers(str(base)) if base is not None else []
    return [*before, Layer(printable(name), found)]


def value_sources(layers: Sequence[Layer], resolved: Recipe) -> dict[str, str]:
    """The source of each value, by the path of its field, such as `optimizer.lr`."""
    sources: dict[str, str] = {}
    before: dict[str, Any] = {}
    for layer in layers:
        values = _leaves(layer.recipe, to_plain(layer.recipe))
        for path, (value, default) in values.items():
            if path not in before:
                sources[path] = DEFAULT if default else layer.label
            elif before[path] != value:
                sources[path] = f"{layer.label} (was {_short(before[path])})"
        before = {path: value for path, (value, _) in values.items()}
    for path, (value, default) in _leaves(resolved, to_plain(resolved)).items():
        if path not in before:
            sources[path] = DEFAULT if default else "set here"
        elif before[path] != value:
            sources[path] = f"changed here (was {_short(before[path])})"
    known = class_set(resolved.data.dataset)
    if known is not None:
        implied = {"data.classes": known.names, "data.palette": known.palette}
        for path, value in implied.items():
            if getattr(resolved.data, path.partition(".")[2]) == value:
                sources[path] = f"data set {resolved.data.dataset}"
    return sources


def _leaves(
    part: msgspec.Struct, plain: Mapping[str, Any], prefix: str = "", whole: msgspec.Struct | None = None
) -> dict[str, tuple[Any, bool]]:
    """The plain value of every field that is set, and whether it is the default, by the path of the field.

    `whole` is the default of the section as a whole, if it has one, such as a network's own preprocessing.
    """
    found: dict[str, tuple[Any, bool]] = {}
    defaults = {field.name: getattr(whole, field.name, field.default) for field in msgspec.structs.fields(part)}
    for key, value in plain.items():
        own = getattr(part, key, None)
        if isinstance(own, msgspec.Struct):
            default = defaults[key] if isinstance(defaults[key], type(own)) else None
            found |= _leaves(own, value, f"{prefix}{key}.", default)
        elif _is_parts(own):
            for name, item in own.items():
                found |= _leaves(item, value[name], f"{prefix}{key}.{name}.")
        else:
            # The tag of a model's family is not a field, so it has no default.
            found[f"{prefix}{key}"] = (value, key in defaults and own == defaults[key])
    return found


class _Writer:
    """Writes a recipe as TOML.

    Args:
        sources: Source of each value by the path of its field, for comments on every field; None for no comments but
            the names of the fields that are not set.
    """

    def __init__(self, sources: Mapping[str, str] | None) -> None:
        self._sources = sources
        self._lines: list[str] = []

    def written(self, recipe: Recipe) -> str:
        self._write(recipe, to_plain(recipe), "")
        return "\n".join(self._lines).strip("\n") + "\n"

    def _write(self, part: msgspec.Struct, plain: Mapping[str, Any], prefix: str) -> None:
        """A section: its plain values first, then its subsections, as TOML requires."""
        sections = {key: value for key, value in plain.items() if isinstance(value, dict) or _is_tables(value)}
        for key, value in plain.items():
            if key not in sections:
                self._describe(part, key)
                self._lines += self._with_source(_assigned(key, value), f"{prefix}{key}")
        unset = [field.name for field in msgspec.structs.fields(part) if field.name not in plain]
        for key in unset if self._sources is not None else ():
            self._describe(part, key)
            self._lines.append(f"# {key} is not set")
        if unset and self._sources is None:
            self._lines.append(f"# not set: {', '.join(unset)}")
        for key, value in sections.items():
            self._section(getattr(part, key, None), value, f"{prefix}{key}")

    def _section(self, own: Any, value: Any, path: str) -> None:
        if isinstance(own, msgspec.Struct):
            self._lines += ["", *self._about(type(own)), f"[{path}]"]
            self._write(own, value, f"{path}.")
        elif _is_parts(own):
            for name, item in own.items():
                self._lines += ["", *self._about(type(item)), f"[{path}.{name}]"]
                self._write(item, value[name], f"{path}.{name}.")
        elif isinstance(value, dict):
            self._lines += ["", *self._with_source(f"[{path}]", path)]
            self._lines += [line for key, item in value.items() for line in _assigned(key, item).split("\n")]
        else:
            for item in value:
                self._lines += ["", *self._with_source(f"[[{path}]]", path), *tomli_w.dumps(item).splitlines()]

    def _describe(self, part: msgspec.Struct, key: str) -> None:
        """Comments on a field: its meaning, the values that it accepts and its default."""
        if self._sources is None:
            return
        field = next((one for one in msgspec.structs.fields(part) if one.name == key), None)
        if field is None:  # the family of a model
            self._lines += ["", f"# Family of the network, one of {', '.join(SPECS.all())}."]
            return
        inner = section_of(field.type)
        if inner is not None:
            self._lines += ["", *self._about(inner)]
            return
        text = field_texts(type(part)).get(key, "")
        values = f"{text} Values: {accepted(field.type)}. Default: {default_of(field.default)}."
        self._lines += ["", *_comment(values)]

    def _about(self, kind: type[msgspec.Struct]) -> list[str]:
        if self._sources is None:
            return []
        return _comment(" ".join(inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].split()))

    def _with_source(self, text: str, path: str) -> list[str]:
        """The lines of `key = value`, with the source of the value as a comment at the end of the first one."""
        first, *rest = text.split("\n")
        return [first if self._sources is None else f"{first} # {self._sources[path]}", *rest]


def _assigned(key: str, value: Any) -> str:
    """`key = value` on one line, or a long list on several."""
    line = tomli_w.dumps({key: value}).rstrip("\n")
    if isinstance(value, list) and "\n" in line:
        short = f"{line.partition(' = ')[0]} = {toml_value(value)}"
        return short if len(short) <= WIDTH else line
    return line


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _is_parts(value: Any) -> TypeGuard[dict[str, msgspec.Struct]]:
    """Whether a value is a mapping of named sections, such as `loss.terms`."""
    return isinstance(value, dict) and all(isinstance(item, msgspec.Struct) for item in value.values()) and bool(value)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _short(value: Any) -> str:
    text = tomli_w.dumps({"value": value}).partition("=")[2]
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."
