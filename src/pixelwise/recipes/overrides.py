"""Applying `section.field=value` overrides to recipes, and writing recipes as TOML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import tomli_w

from pixelwise.errors import RecipeError
from pixelwise.recipes.fields import full_path
from pixelwise.recipes.parsing import from_plain
from pixelwise.recipes.schema.base import Part
from pixelwise.recipes.schema.model import Spec
from pixelwise.recipes.schema.planning import still_planned
from pixelwise.recipes.schema.recipe import Recipe, Role, fields_with, to_plain, without_unset
from pixelwise.recipes.schema.roles import without
from pixelwise.storage.documents import DocumentError, parse_toml

SAME_EXPERIMENT = (Role.OPERATIONAL, Role.TOLERANCE, Role.CHANCE, Role.PLACE)
"""Roles of the fields that may change without making a published recipe another experiment."""


Overrides = Sequence[str] | Mapping[str, Any]
"""Changes to a recipe: `["optimizer.lr=0.02"]` as on the command line, or `{"optimizer.lr": 0.02}`."""


def words_of(overrides: Overrides) -> list[str]:
    """The overrides as on the command line, with the whole path of each field; a single one may be given as text.

    Raises:
        RecipeError: R202 or R262, a path is the end of no field's path, or of several.
    """
    if isinstance(overrides, Mapping):
        return [f"{full_path(path)}={_toml(value)}" for path, value in overrides.items()]
    return [_with_full_path(word) for word in ([overrides] if isinstance(overrides, str) else overrides)]


def _with_full_path(word: str) -> str:
    """`lr=0.02` -> `optimizer.lr=0.02`; what is not an override stays as it is."""
    path, equals, value = word.partition("=")
    if not equals or not path.strip():
        return word
    whole = full_path(path.strip())
    return word if whole == path.strip() else f"{whole}={value}"


AnyOptions = TypeVar("AnyOptions", bound=msgspec.Struct)


def in_words(options: AnyOptions) -> AnyOptions:
    """Options of a verb whose `overrides` were given by name, with them as on the command line, which is recorded."""
    return msgspec.structs.replace(options, overrides=tuple(words_of(options.overrides)))  # type: ignore[attr-defined]


def apply_overrides(recipe: Recipe, overrides: Overrides) -> Recipe:
    """A copy of `recipe` with each `section.field=value` applied.

    The section may be left out where only one field has the name: `lr=0.02`. Values are TOML values (`0.02`, `true`,
    `[360, 480]`, `{0 = 1}`); a bare word is a string, also within brackets, and `none` unsets a field. A recipe that
    becomes another experiment keeps its name but no longer claims the published result.

    Raises:
        RecipeError: R201, an override is malformed; R202, there is no such field (with similar names); R203, a value
            has the wrong type or the combination is impossible; R262, several fields have the name.
    """
    plain = to_plain(recipe)
    changes = [parse_override(override) for override in words_of(overrides)]
    for path, value in changes:
        _set(plain, path.split("."), value)
    changed = [path for path, _ in changes]
    if "planned" not in changed:
        plain["planned"] = still_planned(plain["planned"], changed)
    return _claiming(from_plain(plain), recipe)


def field_of(override: str) -> str:
    """The path of the field in `section.field=value`."""
    return override.partition("=")[0].strip()


def parse_override(override: str) -> tuple[str, Any]:
    """The path of the field and the value in `section.field=value`.

    Raises:
        RecipeError: R201, it is malformed.
    """
    path, equals, text = override.partition("=")
    if not equals or not path.strip():
        raise RecipeError(
            "R201",
            f"'{override}' is not an override",
            "write section.field=value, for example optimizer.lr=0.02",
        )
    return path.strip(), _parse_value(text.strip())


def with_parts(recipe: Recipe, **parts: Any) -> Recipe:
    """A copy of `recipe` with other sections, such as `sampling=...`.

    As with `apply_overrides`, a recipe that becomes another experiment no longer claims the published result.

    Raises:
        RecipeError: R203, the sections do not fit together.
    """
    return _claiming(msgspec.structs.replace(recipe, **parts), recipe)


def changes_between(before: Recipe, after: Recipe) -> list[str]:
    """The overrides that turn `before` into `after` with `apply_overrides`, apart from the published result."""
    return [f"{path}={_toml(value)}" for path, value in _changes(before, after, "")]


def flat_fields(recipe: Recipe) -> dict[str, Any]:
    """The value of every field of a recipe that is set, by its path, such as `optimizer.lr`."""
    return _flat(to_plain(recipe), "")


def _flat(plain: dict[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in plain.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _claiming(changed: Recipe, before: Recipe) -> Recipe:
    """The changed recipe, without the published result if it is another experiment."""
    if _experiment(changed) == _experiment(before):
        return changed
    return msgspec.structs.replace(changed, published=None)


def _changes(before: msgspec.Struct, after: msgspec.Struct, prefix: str) -> Iterator[tuple[str, Any]]:
    for field in msgspec.structs.fields(after):
        old, new, path = getattr(before, field.name), getattr(after, field.name), f"{prefix}{field.name}"
        if old == new or path == "published":
            continue
        # Another family or another `initialize.encoder` resets the fields beside it, so the whole table is given.
        alike = type(old) is type(new) and getattr(old, "encoder", "") == getattr(new, "encoder", "")
        if isinstance(old, Part | Spec) and isinstance(new, Part | Spec) and alike:
            yield from _changes(old, new, f"{path}.")
        else:
            yield path, without_unset(msgspec.to_builtins(new))


def _toml(value: Any) -> str:
    """A value on one line as `_parse_value` reads it, with unquoted words."""
    return value if isinstance(value, str) and _parse_value(value.strip()) == value else toml_value(value)


def toml_value(value: Any) -> str:
    """A value as TOML on one line; None, which TOML lacks, is `none`."""
    if value is None:
        return "none"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(key)} = {toml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return tomli_w.dumps({"value": value}).partition(" = ")[2].rstrip("\n")


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_value(key)


def default_of(value: Any) -> str:
    """The default of a field in words: its value as it would be typed."""
    if value is msgspec.NODEFAULT:
        return "every recipe sets it"
    if value is None:
        return "not set"
    return "empty" if value in ("", ()) else toml_value(msgspec.to_builtins(value)).strip('"')


def to_toml(recipe: Recipe) -> str:
    """The fully resolved recipe as TOML; `load_toml` reads it back equal."""
    return tomli_w.dumps(to_plain(recipe))


def _experiment(recipe: Recipe) -> dict[str, Any]:
    """The plain recipe without the fields that do not make it another experiment."""
    return without(to_plain(recipe), fields_with(*SAME_EXPERIMENT))


_OTHER_LENGTHS = {
    "epochs": ("iterations",),
    "iterations": ("epochs",),
    "warmup_iterations": ("warmup_share",),
    "warmup_epochs": ("warmup_share",),
    "warmup_share": ("warmup_iterations", "warmup_epochs"),
}
"""Field of a schedule -> those that give the same length in another unit."""


def without_other_length(schedule: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The schedule without its iterations if `changes` give epochs, and vice versa, so that they do not conflict.

    Likewise a warm-up as a share gives way to one of a number of steps or epochs, and vice versa.
    """
    dropped = {other for key in changes for other in _OTHER_LENGTHS.get(key, ())}
    return {key: value for key, value in schedule.items() if key not in dropped}


def _set(plain: dict[str, Any], path: list[str], value: Any) -> None:
    where = plain
    for key in path[:-1]:
        following = where.setdefault(key, {})
        if not isinstance(following, dict):
            raise RecipeError("R202", f"'{'.'.join(path)}': '{key}' has no fields", "`pixelwise show NAME` lists them")
        where = following
    if path[0] == "schedule" and len(path) == 2 and value is not None:
        plain["schedule"] = where = without_other_length(where, {path[1]: value})
    if path == ["model", "family"] and where.get("family") != value:
        plain["model"] = where = {}
    if path == ["initialize", "encoder"] and where.get("encoder") != value:
        # The licence was that of the previous weights.
        plain["initialize"] = where = {
            key: where[key] for key in ("recipe", "run", "freeze", "adapter") if key in where
        }
    if path == ["distillation", "teacher"] and where.get("teacher") != value:
        # The hashes were those of the previous teachers.
        where.pop("teacher_sha256", None)
    if value is None:
        where.pop(path[-1], None)
    else:
        where[path[-1]] = value


def _parse_value(text: str) -> Any:
    if text.lower() == "none":
        return None
    try:
        return parse_toml(f"value = {text}", Path("override"))["value"]
    except DocumentError:
        pass
    # A shell strips the quotes that TOML requires within brackets.
    words = re.fullmatch(r"\[([^][{}=]*)\]", text)
    return [_parse_value(word.strip()) for word in words[1].split(",")] if words else text
