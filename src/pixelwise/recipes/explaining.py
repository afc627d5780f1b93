"""Recipes as TOML with comments that state the source of each value."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import msgspec
import tomli_w

from pixelwise.recipes.class_sets.tables import class_set
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe, to_plain
from pixelwise.storage import printable
from pixelwise.storage.documents import read_toml

DEFAULT = "default"


class Layer(NamedTuple):
    """A recipe in the chain of bases that leads to the requested one, with its label in the comments."""

    label: str
    recipe: Recipe


def explain(name: str | os.PathLike[str], overrides: Sequence[str] = ()) -> str:
    """A complete recipe as TOML with comments that state the source of each value.

    The sources are: `default`, the default of the field; `row of page ...`, the published row with its page and code
    base; the name of a recipe or a file; `data set ...`, the definition of the data set; `changed here (was ...)` or
    `set here`, an override. The last comment of each section lists its unset fields.

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
    sources = value_sources(layers, resolved)
    lines: list[str] = []
    _write(lines, resolved, to_plain(resolved), "", sources)
    return "\n".join(lines) + "\n"


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


def _write(lines: list[str], part: msgspec.Struct, plain: Mapping[str, Any], prefix: str, sources: Mapping[str, str]):
    """Append a section: its plain values first, then its subsections, as TOML requires."""
    sections = {key: value for key, value in plain.items() if isinstance(value, dict) or _is_tables(value)}
    for key, value in plain.items():
        if key not in sections:
            lines += _commented(tomli_w.dumps({key: value}).rstrip("\n"), sources[f"{prefix}{key}"])
    unset = [field.name for field in msgspec.structs.fields(part) if field.name not in plain]
    if unset:
        lines.append(f"# not set: {', '.join(unset)}")
    for key, value in sections.items():
        own, path = getattr(part, key, None), f"{prefix}{key}"
        if isinstance(own, msgspec.Struct):
            lines += ["", f"[{path}]"]
            _write(lines, own, value, f"{path}.", sources)
        elif _is_parts(own):
            for name, item in own.items():
                lines += ["", f"[{path}.{name}]"]
                _write(lines, item, value[name], f"{path}.{name}.", sources)
        elif isinstance(value, dict):
            lines += ["", f"[{path}] # {sources[path]}", *tomli_w.dumps(value).splitlines()]
        else:
            for item in value:
                lines += ["", f"[[{path}]] # {sources[path]}", *tomli_w.dumps(item).splitlines()]


def _is_parts(value: Any) -> TypeGuard[dict[str, msgspec.Struct]]:
    """Whether a value is a mapping of named sections, such as `loss.terms`."""
    return isinstance(value, dict) and all(isinstance(item, msgspec.Struct) for item in value.values()) and bool(value)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _commented(text: str, source: str) -> list[str]:
    """The lines of `key = value` with the comment at the end of the first line."""
    first, *rest = text.split("\n")
    return [f"{first} # {source}", *rest]


def _short(value: Any) -> str:
    text = tomli_w.dumps({"value": value}).partition("=")[2]
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."
