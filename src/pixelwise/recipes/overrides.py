"""`field=value` on a recipe, and recipes as plain data and as TOML."""

from __future__ import annotations

import re
import tomllib
import typing
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import tomli_w

from pixelwise.errors import RecipeError
from pixelwise.recipes.schema.base import Part
from pixelwise.recipes.schema.model import Spec
from pixelwise.recipes.schema.recipe import Recipe, to_plain, without_unset
from pixelwise.recipes.suggestions import did_you_mean

SAME_EXPERIMENT: tuple[str, ...] = (
    "data.workers", "data.cache", "data.allow", "checkpoints", "sampling.seed", "initialize.run",
)  # fmt: skip
"""Fields and sections whose change leaves a recipe the one that was published; no page names a seed or a folder."""


def apply_overrides(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """A copy of `recipe` with each `section.field=value` applied.

    Values are TOML values (`0.02`, `true`, `[360, 480]`, `{0 = 1}`); a bare word is a string, also within
    brackets, and `none` unsets a field. A recipe that becomes another experiment keeps its name but no longer
    claims the published number.

    Raises:
        RecipeError: R201 malformed, R202 unknown field (with the nearest ones), R203 a value of the
            wrong type or an impossible combination.
    """
    plain = to_plain(recipe)
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals or not path.strip():
            raise RecipeError(
                "R201",
                f"'{override}' is not an override",
                "write section.field=value, for example optimizer.lr=0.02",
            )
        _set(plain, path.strip().split("."), _parse_value(text.strip()))
    return _claiming(from_plain(plain), recipe)


def with_parts(recipe: Recipe, **parts: Any) -> Recipe:
    """A copy of `recipe` with other parts, such as `sampling=...`.

    As with `apply_overrides`, one that becomes another experiment no longer claims the published number.

    Raises:
        RecipeError: R203, the parts do not go together.
    """
    return _claiming(msgspec.structs.replace(recipe, **parts), recipe)


def changes_between(before: Recipe, after: Recipe) -> list[str]:
    """The overrides with which `apply_overrides` makes `after` of `before`, but for what was published."""
    return [f"{path}={_toml(value)}" for path, value in _changes(before, after, "")]


def _claiming(changed: Recipe, before: Recipe) -> Recipe:
    """The changed recipe, without the published number if it is another experiment."""
    if _experiment(changed) == _experiment(before):
        return changed
    return msgspec.structs.replace(changed, published=None)


def _changes(before: msgspec.Struct, after: msgspec.Struct, prefix: str) -> Iterator[tuple[str, Any]]:
    for field in msgspec.structs.fields(after):
        old, new, path = getattr(before, field.name), getattr(after, field.name), f"{prefix}{field.name}"
        if old == new or path == "published":
            continue
        # Another family, or other weights of the encoder, reset the fields beside them: there the whole table is said.
        alike = type(old) is type(new) and getattr(old, "encoder", "") == getattr(new, "encoder", "")
        if isinstance(old, Part | Spec) and isinstance(new, Part | Spec) and alike:
            yield from _changes(old, new, f"{path}.")
        else:
            yield path, without_unset(msgspec.to_builtins(new))


def _toml(value: Any) -> str:
    """A value as `_parse_value` reads it, on one line; words without quotes."""
    return value if isinstance(value, str) and _parse_value(value.strip()) == value else _toml_value(value)


def _toml_value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(key)} = {_toml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    return tomli_w.dumps({"value": value}).partition(" = ")[2].rstrip("\n")


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml_value(key)


def from_plain(plain: dict[str, Any], source: str = "recipe") -> Recipe:
    """A recipe from nested dicts, as `to_plain` gives them.

    Raises:
        RecipeError: R202 or R203, with the path of the field and `source`.
    """
    _check_fields(plain, Recipe, "", source)
    try:
        return msgspec.convert(plain, Recipe)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, RecipeError):
            raise error.__cause__ from None
        raise RecipeError(
            "R203",
            f"{source}: {_readable(str(error), plain)}",
            "`pixelwise show NAME` prints every field with its value",
        ) from None


def to_toml(recipe: Recipe) -> str:
    """The fully resolved recipe as TOML; `load_toml` reads it back equal."""
    return tomli_w.dumps(to_plain(recipe))


def _experiment(recipe: Recipe) -> dict[str, Any]:
    """The plain recipe without its operational fields."""
    plain = to_plain(recipe)
    for path in SAME_EXPERIMENT:
        _set(plain, path.split("."), None)
    return plain


def without_other_length(schedule: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Epochs given over a base with iterations (or the reverse) replace them instead of colliding."""
    other = {"epochs": "iterations", "iterations": "epochs"}
    dropped = {other[key] for key in changes if key in other}
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
        # The licence was that of the other weights.
        plain["initialize"] = where = {key: where[key] for key in ("recipe", "run") if key in where}
    if value is None:
        where.pop(path[-1], None)
    else:
        where[path[-1]] = value


def _parse_value(text: str) -> Any:
    if text.lower() == "none":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        pass
    # A shell strips the quotes that TOML wants within brackets.
    words = re.fullmatch(r"\[([^][{}=]*)\]", text)
    return [_parse_value(word.strip()) for word in words[1].split(",")] if words else text


def _check_fields(plain: dict[str, Any], kind: Any, path: str, source: str) -> None:
    """Name unknown fields together with the ones that exist: msgspec knows only that they are unknown."""
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    if kind.__struct_config__.tag_field:
        fields[kind.__struct_config__.tag_field] = str
    for key, value in plain.items():
        if key not in fields:
            where = path.rstrip(".") or "recipe"
            raise RecipeError(
                "R202",
                f"{source}: {where} has no field '{key}'{did_you_mean(key, fields)}",
                f"fields of {where}: {', '.join(fields)}",
            )
        inner = _struct_of(fields[key], value)
        if inner is not None and isinstance(value, dict):
            _check_fields(value, inner, f"{path}{key}.", source)
        elif inner is not None and isinstance(value, list):
            for position, item in enumerate(value):
                if isinstance(item, dict):
                    _check_fields(item, inner, f"{path}{key}[{position}].", source)


def _struct_of(annotation: Any, value: Any) -> Any:
    """The struct type that `value` stands for, by its tag where there are several."""
    structs = _structs_in(annotation)
    tagged = [kind for kind in structs if kind.__struct_config__.tag is not None]
    if tagged and isinstance(value, dict):
        by_tag = {kind.__struct_config__.tag: kind for kind in tagged}
        return by_tag.get(value.get("family"))
    return structs[0] if structs else None


def _structs_in(annotation: Any) -> list[Any]:
    """The struct types that `annotation` is or is a union of."""
    options = [annotation, *typing.get_args(annotation)]
    return [kind for kind in options if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]


def _found(plain: Any, path: str, kind: str) -> str:
    """The value at a path; its kind where the path leads through a list."""
    for key in path.split("."):
        if not isinstance(plain, dict) or key not in plain:
            return kind
        plain = plain[key]
    return f"'{plain}'" if isinstance(plain, str) else str(plain)


_WORDS = {
    "int": "a whole number", "float": "a number", "str": "a word", "bool": "true or false", "null": "none",
    "array": "a list such as [256, 256]", "object": "a table such as {a=1}",
}  # fmt: skip
"""What msgspec calls types, in the words of who writes recipes."""


def _readable(message: str, plain: dict[str, Any]) -> str:
    """Turn msgspec's "Expected `int`, got `str` - at `$.a.b`" into "a.b: expected a whole number, got 'three'"."""
    text, _, path = message.partition(" - at `$.")
    path = path.rstrip("`")
    text = text[:1].lower() + text[1:].replace("`", "")
    if types := re.fullmatch(r"expected ([a-z |]+), got ([a-z]+)", text):
        wanted = " or ".join(_WORDS.get(name, name) for name in types[1].split(" | "))
        text = f"expected {wanted}, got {_found(plain, path, _WORDS.get(types[2], types[2]))}"
    refused = re.fullmatch(r"invalid (?:enum )?value '(.*)'", text, re.DOTALL)
    allowed = _allowed_values(plain, path.split("."))
    if refused and allowed:
        text += f"; expected one of {', '.join(allowed)}{did_you_mean(refused[1], allowed)}"
    return f"{path}: {text}" if path else text


def _allowed_values(plain: dict[str, Any], path: list[str]) -> tuple[str, ...]:
    """The words that the field at `path` accepts; empty if it is no choice between words."""
    annotation: Any = Recipe
    where: Any = plain
    for key in path:
        tags = [kind.__struct_config__ for kind in _structs_in(annotation)]
        if any(config.tag_field == key for config in tags):
            return tuple(config.tag for config in tags)
        kind = _struct_of(annotation, where)
        fields = {field.name: field.type for field in msgspec.structs.fields(kind)} if kind else {}
        if key not in fields:
            return ()
        annotation, where = fields[key], where.get(key)
    return typing.get_args(annotation) if typing.get_origin(annotation) is typing.Literal else ()
