"""Query language of `pixelwise models search`: `gmacs<5 miou>65 dataset=cityscapes`.

A query is a list of conditions, and a candidate has to meet all of them. Numbers are compared by value, sizes by their
number of pixels, texts as a whole or with the wildcards `*` and `?`; `~` finds part of a text. A value that a
candidate does not have (`None`) meets no condition.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, NamedTuple

from pixelwise.errors import RecipeError
from pixelwise.recipes.default_sizes import input_size
from pixelwise.recipes.published.pages import find_page
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.suggestions import did_you_mean

Value = str | float | bool | Size | None
Counter = Callable[[Recipe], tuple[int | None, float | None]]
_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip
OPERATORS = (*_ORDER, "~")
ALIASES = {"parameters": "params", "license": "licence", "data": "dataset", "backbone": "encoder", "size": "input"}
LARGEST_FIRST = ("miou", "measured")
_CONDITION = re.compile(r"\s*([A-Za-z_]+)\s*([<>=!~]+)\s*([^\s<>=!~]+)(?=\s|$)")
_WORD = re.compile(r"\s*([A-Za-z][\w.-]*)(?=\s|$)(?!\s*[<>=!~])")
_LOGIC = ("and", "or", "not")
_EXAMPLE = 'for example "gmacs<5 miou>65 dataset=cityscapes"'


class Candidate:
    """A recipe with the values that a search compares.

    Args:
        measured: mIoU measured here, in percent.
        count: Counts parameters and GMACs of recipes that do not give the original's; called at most once, and only
            if a condition needs them.
    """

    def __init__(self, recipe: Recipe, measured: float | None = None, count: Counter | None = None) -> None:
        self.recipe = recipe
        self.measured = measured
        self._count = count

    def __getitem__(self, field: str) -> Value:
        """The value of a field of `FIELDS`; None if the recipe has none."""
        return FIELDS[field].value(self)

    @cached_property
    def complexity(self) -> tuple[float | None, float | None]:
        """(parameters, GMACs): the original's if they are known, otherwise counted here."""
        published = self.recipe.published
        original = published.original if published else None
        if original is not None and original.gmacs is not None:
            parameters = number(original.parameters)
            return int(parameters) if parameters.is_integer() else parameters, original.gmacs
        return self._count(self.recipe) if self._count else (None, None)


def number(text: str) -> float:
    """`5M` -> 5000000.0, `65%` -> 65.0.

    Raises:
        ValueError: The text is not a number.
    """
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([kmg]?)%?", text.strip().lower())
    if match is None:
        raise ValueError(text)
    return float(match[1]) * _UNITS[match[2]]


def _size(text: str) -> Size:
    match = re.fullmatch(r"(\d+)x(\d+)", text.lower())
    if match is None:
        raise ValueError(text)
    return int(match[2]), int(match[1])


def _flag(text: str) -> bool:
    if text.lower() not in ("yes", "no", "true", "false"):
        raise ValueError(text)
    return text.lower() in ("yes", "true")


def _compare_texts(text: str, sign: str, wanted: str) -> bool:
    return same_text(text, wanted) != (sign == "!=") if sign != "~" else wanted in text.lower()


def _compare_names(text: str, sign: str, wanted: str) -> bool:
    """A name matches if it contains the wanted text, unless that is a pattern."""
    return _compare_texts(text, sign, wanted) if _is_pattern(wanted) else (wanted in text.lower()) != (sign == "!=")


def _compare_sizes(size: Size, sign: str, wanted: Size) -> bool:
    exact = sign in ("=", "!=")
    return _ORDER[sign](size, wanted) if exact else _ORDER[sign](math.prod(size), math.prod(wanted))


def same_text(text: str, wanted: str) -> bool:
    """Whether a text equals or matches the wanted one, which is lower case and may contain `*` and `?`."""
    return fnmatchcase(text.lower(), wanted) if _is_pattern(wanted) else text.lower() == wanted


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


class Kind(NamedTuple):
    """Type of a field's values: how they are written and compared.

    Attributes:
        name: Name of the type as messages use it, such as `a number`.
        signs: Operators that the type supports.
        read: Parses a written value; raises ValueError.
        compare: (value, operator, wanted value) -> whether the condition is met.
        example: An operator and a value, such as `<65`.
    """

    name: str
    signs: tuple[str, ...]
    read: Callable[[str], Any]
    compare: Callable[[Any, str, Any], bool]
    example: str


TEXT = Kind("text", ("=", "!=", "~"), str.lower, _compare_texts, "=cityscapes")
NAME = TEXT._replace(compare=_compare_names)
FLAG = Kind("yes or no", ("=", "!="), _flag, lambda value, sign, wanted: _ORDER[sign](value, wanted), "=yes")
NUMBER = Kind("a number", tuple(_ORDER), number, lambda value, sign, wanted: _ORDER[sign](value, wanted), "<65")
SIZE = Kind("a size (width x height)", tuple(_ORDER), _size, _compare_sizes, "=1024x512")


class Field(NamedTuple):
    """A field that a query can ask for.

    Attributes:
        kind: Type of its values.
        value: Reads the field of a candidate; None if the candidate has none.
        note: Unit or examples of its values, for the help text.
        choices: Whether a value that no candidate has is an error.
    """

    kind: Kind
    value: Callable[[Candidate], Value]
    note: str = ""
    choices: bool = False


def _published(attribute: str) -> Callable[[Candidate], Value]:
    return lambda one: getattr(one.recipe.published, attribute, None)


FIELDS = {
    "name": Field(NAME, lambda one: one.recipe.name),
    "family": Field(TEXT, lambda one: one.recipe.model.family, choices=True),
    "encoder": Field(TEXT, lambda one: one.recipe.model.encoder_name, choices=True),
    "dataset": Field(TEXT, lambda one: one.recipe.data.dataset, choices=True),
    "page": Field(TEXT, _published("page"), choices=True),
    "licence": Field(TEXT, _published("code_licence"), choices=True),
    "qat": Field(FLAG, lambda one: one.recipe.quantization != "none", "yes or no"),
    "miou": Field(NUMBER, _published("miou_percent"), "published, %"),
    "measured": Field(NUMBER, lambda one: one.measured, "here, %"),
    "gmacs": Field(NUMBER, lambda one: one.complexity[1]),
    "params": Field(NUMBER, lambda one: one.complexity[0], "5M, 350k"),
    "input": Field(SIZE, lambda one: input_size(one.recipe), "1024x512"),
}
"""The fields that a query can ask for, by name."""


def field_words() -> list[str]:
    """The fields as the help text lists them, such as `miou (published, %)`."""
    return [f"{name} ({field.note})" if field.note else name for name, field in FIELDS.items()]


class Condition(NamedTuple):
    """One condition of a query.

    Attributes:
        field: A key of `FIELDS`.
        sign: One of `OPERATORS`.
        value: Wanted value, parsed.
        text: The condition as the user wrote it.
    """

    field: str
    sign: str
    value: Any
    text: str


def parse_query(query: str) -> tuple[Condition, ...]:
    """The conditions of a query; a word without an operator, such as `unet`, has to be part of the name.

    Raises:
        RecipeError: R208, the query cannot be read; the message suggests the nearest names for an unknown one. R209,
            there is no such page.
    """
    found, end = [], 0
    text = query.rstrip()
    while end < len(text):
        match, word = _CONDITION.match(text, end), _WORD.match(text, end)
        if word is not None and word[1].lower() not in {*FIELDS, *ALIASES, *_LOGIC}:
            found.append(Condition("name", "~", word[1], word[1]))
            end = word.end()
            continue
        if match is None:
            said = text[end:].strip()
            raise bad_query(f"'{said}' is not a condition", f"write field, operator and value: {_EXAMPLE}")
        found.append(_condition(field_named(match[1]), "=" if match[2] == "==" else match[2], match[3], match))
        end = match.end()
    return tuple(found)


def _condition(field: str, sign: str, value: str, match: re.Match[str]) -> Condition:
    kind, text = FIELDS[field].kind, "".join(match.groups())
    if sign not in OPERATORS:
        raise bad_query(
            f"'{sign}' in '{match[0].strip()}' is not an operator", f"the operators are {' '.join(OPERATORS)}"
        )
    if sign not in kind.signs:
        help = f"operators of {field}: {' '.join(kind.signs)}"
        raise bad_query(f"'{text}': '{sign}' does not apply to {kind.name}", help)
    if field == "page" and sign != "~" and not _is_pattern(value):
        return Condition(field, sign, find_page(value), text)
    try:
        return Condition(field, sign, kind.read(value), text)
    except ValueError:
        raise bad_query(
            f"'{text}': expected {kind.name}, got '{value}'", f"for example {field}{kind.example}"
        ) from None


def field_named(name: str) -> str:
    """The field with that name or alias.

    Raises:
        RecipeError: R208, there is no such field.
    """
    wanted = name.lower()
    field = ALIASES.get(wanted, wanted)
    if field not in FIELDS:
        nearest = did_you_mean(wanted, [*FIELDS, *ALIASES])
        raise bad_query(f"there is no field '{name}'{nearest}", f"the fields are {', '.join(FIELDS)}")
    return field


def meets(candidate: Candidate, condition: Condition) -> bool:
    """Whether a candidate meets a condition."""
    value = candidate[condition.field]
    return value is not None and FIELDS[condition.field].kind.compare(value, condition.sign, condition.value)


def bad_query(message: str, help: str) -> RecipeError:
    """Error R208: a query that cannot be read or asks for a value that no recipe has."""
    return RecipeError("R208", message, help)
