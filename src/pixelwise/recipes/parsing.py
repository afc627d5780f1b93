"""Recipes from plain data (nested dicts, lists and scalars), with errors in the terms of recipe files."""

from __future__ import annotations

import re
import typing
from functools import cache
from typing import Any

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.recipes.schema.model import SPECS, Spec
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.schema.roles import bare
from pixelwise.suggestions import did_you_mean

TAG = str(Spec.__struct_config__.tag_field)
"""The key that names the model family."""


def from_plain(plain: dict[str, Any], source: str = "recipe") -> Recipe:
    """A recipe from nested dicts, as returned by `to_plain`.

    Args:
        plain: Fields by name; sections are dicts.
        source: Name of the source in error messages.

    Raises:
        RecipeError: R202 or R203, with the path of the field and `source`; R235, there is no such model family.
    """
    _check_fields(plain, Recipe, "", source)
    parts = {}
    for field in _fields(Recipe).values():
        if field.name in plain:
            parts[field.name] = _part(plain, field, source)
        elif field.required:
            raise _wrong(source, f"there is no {field.name}")
    return Recipe(**parts)


def section(name: str, plain: dict[str, Any]) -> Any:
    """One section of a recipe from plain data; fields that are not given have their defaults.

    Raises:
        RecipeError: R202 or R203, as in `from_plain`.
    """
    _check_fields({name: plain}, Recipe, "", "recipe")
    return _part({name: plain}, _fields(Recipe)[name], "recipe")


@cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(kind)}


def _part(plain: dict[str, Any], field: msgspec.structs.FieldInfo, source: str) -> Any:
    """The value of one field of the recipe; the type of `model` depends on its family."""
    value = plain[field.name]
    kind = field.type
    if kind is Spec and isinstance(value, dict):
        if TAG not in value:
            raise _wrong(source, f"{field.name}: there is no {TAG}")
        kind = _family(value[TAG], f"{source}: {field.name}.{TAG}: ")
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, RecipeError):
            raise error.__cause__ from None
        text, _, path = str(error).partition(" - at `$")
        raise _wrong(source, _readable(text, field.name + path.rstrip("`"), plain)) from None


def _wrong(source: str, reason: str) -> RecipeError:
    return RecipeError("R203", f"{source}: {reason}", "`pixelwise show NAME` prints every field with its value")


def _family(tag: Any, where: str) -> type[Spec]:
    if not isinstance(tag, str):
        raise RecipeError("R203", f"{where}expected a string, got {tag}", "`pixelwise recipes` lists networks")
    return SPECS.find(tag, where)


def _check_fields(plain: dict[str, Any], kind: Any, path: str, source: str) -> None:
    """Refuse unknown fields and list the known ones, which msgspec's own error does not."""
    fields = {name: field.type for name, field in _fields(kind).items()}
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
        if inner is not None and isinstance(value, dict) and _is_mapping(fields[key]):
            for name, item in value.items():
                if isinstance(item, dict):
                    _check_fields(item, inner, f"{path}{key}.{name}.", source)
        elif inner is not None and isinstance(value, dict):
            _check_fields(value, inner, f"{path}{key}.", source)
        elif inner is not None and isinstance(value, list):
            for position, item in enumerate(value):
                if isinstance(item, dict):
                    _check_fields(item, inner, f"{path}{key}[{position}].", source)


def _struct_of(annotation: Any, value: Any) -> type[msgspec.Struct] | None:
    """The struct type of `value` by the annotation; None if there is none or several, or its family is unknown."""
    annotation = bare(annotation)
    if annotation is Spec:
        tag = value.get(TAG) if isinstance(value, dict) else None
        return SPECS.look_up(tag) if isinstance(tag, str) else None
    options = [annotation, *typing.get_args(annotation)]
    structs = [kind for kind in options if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
    return structs[0] if len(structs) == 1 else None  # msgspec decides between several, by their tags


def _is_mapping(annotation: Any) -> bool:
    return typing.get_origin(bare(annotation)) is dict


def _found(plain: Any, path: str, kind: str) -> str:
    """The value at a path, for messages; `kind` if the path leads through a list."""
    for key in path.split("."):
        if not isinstance(plain, dict) or key not in plain:
            return kind
        plain = plain[key]
    return f"'{plain}'" if isinstance(plain, str) else str(plain)


_WORDS = {
    "int": "a whole number", "float": "a number", "str": "a string", "bool": "true or false", "null": "none",
    "array": "a list such as [256, 256]", "object": "a table such as {a=1}",
}  # fmt: skip
"""Names of msgspec's types for authors of recipes."""


def _readable(text: str, path: str, plain: dict[str, Any]) -> str:
    """Turn msgspec's "Expected `int`, got `str`" into "a.b: expected a whole number, got 'three'"."""
    text = text[:1].lower() + text[1:].replace("`", "")
    if types := re.fullmatch(r"expected ([a-z |]+), got ([a-z]+)", text):
        wanted = " or ".join(_WORDS.get(name, name) for name in types[1].split(" | "))
        text = f"expected {wanted}, got {_found(plain, path, _WORDS.get(types[2], types[2]))}"
    refused = re.fullmatch(r"invalid (?:enum )?value '(.*)'", text, re.DOTALL)
    allowed = _allowed_values(plain, path.split("."))
    if refused and allowed:
        text += f"; expected one of {', '.join(allowed)}{did_you_mean(refused[1], allowed)}"
    return f"{path}: {text}"


def _allowed_values(plain: dict[str, Any], path: list[str]) -> tuple[str, ...]:
    """The strings that the field at `path` accepts; empty if it is not a choice between strings."""
    annotation: Any = Recipe
    where: Any = plain
    for key in path:
        if _is_mapping(annotation) and isinstance(where, dict):
            annotation, where = typing.get_args(bare(annotation))[1], where.get(key)
            continue
        kind = _struct_of(annotation, where)
        fields = _fields(kind) if kind else {}
        if key not in fields:
            return ()
        annotation, where = fields[key].type, where.get(key)
    choices = bare(annotation)
    return typing.get_args(choices) if typing.get_origin(choices) is typing.Literal else ()
