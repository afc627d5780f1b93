"""The numbers that a field of recipes accepts, found by asking its section, whose checks alone know them."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.schema.distillation import Distillation
from pixelwise.recipes.schema.roles import bare

_TRIED = (
    -1_000_000, -181, -180, -129, -128, -2, -1, -0.5, -0.001, 0, 0.001, 0.499, 0.501, 0.999, 1, 1.001, 2, 3, 100, 126,
    128, 179, 181, 254, 256, 1_000, 65_536, 1_000_000,
)  # fmt: skip
"""Numbers on both sides of every bound that is usual."""
_STEPS = 60
"""Halvings after which two floating-point numbers are neighbours."""
_MORE_EXAMPLES = (Distillation(teacher="runs/teacher", match="dist"),)
"""Sections that no recipe of the catalogue has."""
_DIGITS = 6
"""Bounds are written by people, who use no more digits."""


class Interval(NamedTuple):
    """An interval of accepted numbers.

    Attributes:
        least: Lower bound; None if there is none.
        most: Upper bound; None if there is none.
        above: Whether the lower bound itself is refused.
        below: Whether the upper bound itself is refused.
    """

    least: float | None = None
    most: float | None = None
    above: bool = False
    below: bool = False

    def words(self) -> str:
        """`0 or more`, `more than 0 and less than 1`; empty for all numbers."""
        low = "" if self.least is None else f"more than {self.least:g}" if self.above else f"{self.least:g} or more"
        high = "" if self.most is None else f"less than {self.most:g}" if self.below else f"{self.most:g} or less"
        if low and high and not self.above and not self.below:
            return f"{self.least:g} to {self.most:g}"
        return " and ".join(part for part in (low, high) if part)


@cache
def interval(section: type[msgspec.Struct], name: str) -> Interval:
    """The numbers that a field of a section accepts, or each number of a list; of all numbers if it has no bounds.

    A value counts as refused if the section's own check names the field and no other: what depends on other fields is
    no bound. Sections that no recipe has, and that cannot be made of defaults alone, are not asked.

    Args:
        section: Type of the section.
        name: Name of the field.
    """
    field = next(one for one in msgspec.structs.fields(section) if one.name == name)
    number, shaped = _number_of(field.type)
    example = _example(section, name)
    if number is None or example is None:
        return Interval()

    def accepts(value: float) -> bool:
        return _accepts(example, name, shaped(value))

    tried = [int(value) for value in _TRIED if float(value).is_integer()] if number is int else list(_TRIED)
    answers = [accepts(value) for value in tried]
    if not any(answers) or answers != _contiguous(answers):
        return Interval()
    first, last = answers.index(True), len(answers) - 1 - answers[::-1].index(True)
    least = _bound(tried[first - 1], tried[first], number, accepts) if first else None
    most = _bound(tried[last + 1], tried[last], number, accepts) if last + 1 < len(answers) else None
    return Interval(least, most, least is not None and not accepts(least), most is not None and not accepts(most))


def _contiguous(answers: list[bool]) -> list[bool]:
    """The same answers with everything between the first and the last accepted number accepted."""
    first, last = answers.index(True), len(answers) - 1 - answers[::-1].index(True)
    return [first <= place <= last for place in range(len(answers))]


def _bound(refused: float, accepted: float, number: type, accepts: Callable[[float], bool]) -> float:
    """The bound between a refused and an accepted number."""
    if number is int:
        low, high = int(refused), int(accepted)
        while abs(high - low) > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if accepts(middle) else (middle, high)
        return high
    low, high = float(refused), float(accepted)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if accepts(middle) else (middle, high)
    return round(high, _DIGITS)


def _accepts(example: msgspec.Struct, name: str, value: Any) -> bool:
    try:
        msgspec.structs.replace(example, **{name: value})
    except RecipeError as error:
        expected = error.message.partition(";")[0]
        others = [one for one in example.__struct_fields__ if one != name]
        # A name of one word, such as `weight`, may be an ordinary word, unless its section stands before it.
        about_others = any(re.search(rf"{'' if '_' in one else '[.]'}\b{re.escape(one)}\b", expected) for one in others)
        return about_others or re.search(rf"\b{re.escape(name)}\b", expected) is None
    return True


def _number_of(kind: Any) -> tuple[type | None, Callable[[float], Any]]:
    """`int` or `float` for a field of numbers, and what makes a value of the field from one; None for other fields."""
    kind = bare(kind)
    if kind in (int, float):
        return kind, lambda value: value
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and set(parts) <= {int, float, ...} and len(set(parts) - {...}) == 1:
        length = 1 if parts[-1] is ... else len(parts)
        return parts[0], lambda value: (value,) * length
    rest = [part for part in parts if part is not type(None)]
    if type(None) in parts and len(rest) == 1:
        return _number_of(rest[0])
    return None, lambda value: value


@cache
def _examples() -> dict[type, list[msgspec.Struct]]:
    """Type of a section -> different sections of that type in recipes."""
    found: dict[type, list[msgspec.Struct]] = {type(one): [one] for one in _MORE_EXAMPLES}
    for name in list_recipes():
        for part in _parts(recipe(name)):
            known = found.setdefault(type(part), [])
            if part not in known:
                known.append(part)
    return found


def _parts(value: Any) -> Iterator[msgspec.Struct]:
    if isinstance(value, msgspec.Struct):
        yield value
        value = [getattr(value, name) for name in value.__struct_fields__]
    elif isinstance(value, dict):
        value = list(value.values())
    for inner in value if isinstance(value, list | tuple) else ():
        yield from _parts(inner)


def _example(section: type[msgspec.Struct], name: str) -> msgspec.Struct | None:
    """A section of a recipe in which the field is set, if there is one; else one made of defaults."""
    known = _examples().get(section, [])
    for one in known:
        if getattr(one, name) is not None:
            return one
    if known:
        return known[0]
    try:
        return section()
    except (TypeError, RecipeError):
        return None
