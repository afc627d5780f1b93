"""The base class of a recipe's sections, and the checks of their values."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.recipes.sizes import Size

Range = tuple[float, float]


def require(condition: bool, message: str, help: str) -> None:
    """Refuse a recipe with `message` and `help` (R203) unless `condition` holds."""
    if not condition:
        raise RecipeError("R203", message, help)


def require_at_least(least: int, field: str, value: float | None, help: str) -> None:
    """Refuse a value below `least`; None passes."""
    require(value is None or value >= least, f"{field} is {value}; expected {least} or more", help)


def require_positive(field: str, value: float, help: str) -> None:
    """Refuse values of 0 or less."""
    require(value > 0, f"{field} is {value}; expected more than 0", help)


def require_below_one(field: str, value: float, help: str) -> None:
    """Refuse values below 0, and values of 1 or more."""
    require(0 <= value < 1, f"{field} is {value}; expected 0 or more and less than 1", help)


def require_share(field: str, value: float, help: str) -> None:
    """Refuse values outside 0..1."""
    require(0 <= value <= 1, f"{field} is {value}; expected 0..1", help)


def require_size(field: str, size: Size | None) -> None:
    """Refuse a (height, width) without pixels; None passes."""
    require(
        size is None or min(size) >= 1,
        f"{field} is {list(size or ())}; expected a height and a width of 1 or more",
        "for example [360, 480]",
    )


def require_writable(kind: type[msgspec.Struct]) -> None:
    """Refuse (TypeError) a struct with fields that accept None but have another default, also in structs within it.

    TOML has no null, so None is left out of recipe files, and reading them would give the default.
    """
    _require_writable(kind, set())


def _require_writable(kind: type[msgspec.Struct], seen: set[type]) -> None:
    seen.add(kind)
    for field in msgspec.structs.fields(kind):
        if type(None) in _choices(field.type) and field.default is not None:
            raise TypeError(
                f"{kind.__name__}.{field.name} accepts None but has another default, which reading a recipe file would "
                "put in its place, because TOML has no null; make None the default, or use a word such as 'none'"
            )
        for inner in _types_in(field.type):
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct) and inner not in seen:
                _require_writable(inner, seen)


def _choices(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a union, through `Annotated`."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _choices(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(choice for part in typing.get_args(annotation) for choice in _choices(part))
    return (annotation,)


def _types_in(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in typing.get_args(annotation):
        yield from _types_in(part)


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of a recipe's sections: immutable, unknown fields refused."""
