"""The language of `pixelwise models search`: `gmacs<5 miou>65 dataset=cityscapes`.

A query is conditions; a candidate has to meet all of them. Numbers compare as numbers, sizes by their
pixels, texts as a whole or with `*` and `?`, `~` finds a part of a text. What a candidate does not
have (`None`) meets no condition.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.recipes.protocols import Size
from pixelwise.recipes.published.pages import find_page
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import input_size
from pixelwise.recipes.suggestions import did_you_mean

FIELDS = {
    "name": "text",
    "family": "text",
    "encoder": "text",
    "dataset": "text",
    "page": "text",
    "licence": "text",
    "qat": "flag",
    "miou": "number",
    "measured": "number",
    "gmacs": "number",
    "params": "number",
    "input": "size",
}
"""Field -> how its values are written and compared. `miou` is the published one, in percent, as `measured`."""
ALIASES = {"parameters": "params", "license": "licence", "data": "dataset", "backbone": "encoder", "size": "input"}
LARGEST_FIRST = ("miou", "measured")
_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip
OPERATORS = (*_ORDER, "~")
_CONDITION = re.compile(r"\s*([A-Za-z_]+)\s*([<>=!~]+)\s*([^\s<>=!~]+)(?=\s|$)")
_EXAMPLE = 'for example "gmacs<5 miou>65 dataset=cityscapes"'

Value = str | float | bool | Size | None
Counter = Callable[[Recipe], tuple[int | None, float | None]]


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of a query.

    Attributes:
        field: A key of `FIELDS`.
        sign: One of `OPERATORS`.
        value: Converted as the field is compared.
        text: As it was written.
    """

    field: str
    sign: str
    value: str | float | bool | Size
    text: str


class Candidate:
    """A recipe as the search sees it.

    Args:
        recipe: The recipe.
        measured: mIoU measured here, percent.
        count: Counts parameters and GMACs where the recipe does not say what the original has; called
            at most once, and only when they are asked for.
    """

    def __init__(self, recipe: Recipe, measured: float | None = None, count: Counter | None = None) -> None:
        self.recipe = recipe
        self._measured = measured
        self._count = count
        self._counted: tuple[int | None, float | None] | None = None

    def __getitem__(self, field: str) -> Value:
        """The value of a field of `FIELDS`; None where there is none."""
        recipe, published = self.recipe, self.recipe.published
        match field:
            case "name":
                return recipe.name
            case "family":
                return family_of(recipe)
            case "encoder":
                return encoder_of(recipe)
            case "dataset":
                return recipe.data.dataset
            case "page":
                return published.page if published else None
            case "licence":
                return published.code_licence if published else None
            case "qat":
                return recipe.quantization != "none"
            case "miou":
                return published.miou_percent if published else None
            case "measured":
                return self._measured
            case "input":
                return input_size(recipe)
            case "params":
                return self._complexity()[0]
            case "gmacs":
                return self._complexity()[1]
        raise KeyError(field)

    def _complexity(self) -> tuple[float | None, float | None]:
        """(parameters, GMACs): the original's where they are known, else counted."""
        published = self.recipe.published
        original = published.original if published else None
        if original is not None and original.gmacs is not None:
            parameters = number(original.parameters)
            return int(parameters) if parameters.is_integer() else parameters, original.gmacs
        if self._counted is None:
            self._counted = self._count(self.recipe) if self._count else (None, None)
        return self._counted


def family_of(recipe: Recipe) -> str:
    """The tag of its network, such as `fcn`."""
    return str(recipe.model.__struct_config__.tag)


def encoder_of(recipe: Recipe) -> str | None:
    """Name of its network's encoder, or of its variant; None for a network of one piece."""
    return getattr(recipe.model, "encoder", None) or getattr(recipe.model, "variant", None)


def parse_query(query: str) -> tuple[Condition, ...]:
    """The conditions of a query.

    Raises:
        RecipeError: R208, it cannot be read; the nearest names where a name is unknown.
    """
    found, end = [], 0
    text = query.rstrip()
    while end < len(text):
        match = _CONDITION.match(text, end)
        if match is None:
            raise _bad(
                f"cannot read '{text[end:].strip()}' as a condition", f"write field, operator, value: {_EXAMPLE}"
            )
        field, sign, value = _field(match[1]), "=" if match[2] == "==" else match[2], match[3]
        if sign not in OPERATORS:
            raise _bad(f"'{sign}' in '{match[0].strip()}' is no operator", f"the operators are {' '.join(OPERATORS)}")
        found.append(Condition(field=field, sign=sign, value=_value(field, sign, value), text="".join(match.groups())))
        end = match.end()
    return tuple(found)


def _field(name: str) -> str:
    wanted = name.lower()
    field = ALIASES.get(wanted, wanted)
    if field not in FIELDS:
        raise _bad(
            f"no field is called '{name}'{did_you_mean(wanted, [*FIELDS, *ALIASES])}",
            f"the fields are {', '.join(FIELDS)}",
        )
    return field


def _value(field: str, sign: str, text: str) -> str | float | bool | Size:
    """The value as its field compares it."""
    kind = FIELDS[field]
    if kind in ("text", "flag") and sign not in ("=", "!=", *(("~",) if kind == "text" else ())):
        allowed = "=, != or ~" if kind == "text" else "= or !="
        raise _bad(f"'{field}{sign}{text}' compares {kind}s with '{sign}'", f"{field} goes with {allowed}")
    if kind in ("number", "size") and sign == "~":
        raise _bad(f"'{field}~{text}' looks for a part of a {kind}", f"{field} goes with {' '.join(_ORDER)}")
    if field == "page" and sign != "~" and not _is_pattern(text):
        return find_page(text)
    if kind == "flag":
        if text.lower() not in ("yes", "no", "true", "false"):
            raise _bad(f"'{field}{sign}{text}': expected yes or no, got '{text}'", f"for example {field}=yes")
        return text.lower() in ("yes", "true")
    if kind == "size":
        match = re.fullmatch(r"(\d+)x(\d+)", text.lower())
        if match is None:
            raise _bad(f"'{field}{sign}{text}': '{text}' is no size", f"width x height, for example {field}=1024x512")
        return int(match[2]), int(match[1])
    if kind == "number":
        try:
            return number(text)
        except ValueError:
            example = "5M" if field == "params" else "65"
            raise _bad(f"'{field}{sign}{text}': '{text}' is no number", f"for example {field}{sign}{example}") from None
    return text.lower()


def number(text: str) -> float:
    """`2428976`, `40.067M`, `350k`, `65%` -> number.

    Raises:
        ValueError: It is none.
    """
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([kmg]?)%?", text.strip().lower())
    if match is None:
        raise ValueError(text)
    return float(match[1]) * _UNITS[match[2]]


def check_values(conditions: Iterable[Condition], candidates: Sequence[Candidate]) -> None:
    """Refuse a text that no candidate has: it is a slip, not a search without results.

    Raises:
        RecipeError: R208, with the nearest values and all of them.
    """
    for condition in conditions:
        if FIELDS[condition.field] != "text" or condition.field == "name" or condition.sign == "~":
            continue
        known = sorted({str(value) for one in candidates if (value := one[condition.field]) is not None})
        wanted = str(condition.value)
        if not any(_text_equal(value, wanted) for value in known):
            raise _bad(
                f"'{condition.text}': no recipe has the {condition.field} '{wanted}'{did_you_mean(wanted, known)}",
                f"there are: {', '.join(known)}",
            )


def meets(candidate: Candidate, condition: Condition) -> bool:
    """Whether a candidate meets a condition."""
    value, wanted = candidate[condition.field], condition.value
    if value is None:
        return False
    kind = FIELDS[condition.field]
    if kind == "size" and isinstance(value, tuple) and isinstance(wanted, tuple):
        if condition.sign in ("=", "!="):
            return _ORDER[condition.sign](value, wanted)
        return _ORDER[condition.sign](value[0] * value[1], wanted[0] * wanted[1])
    if kind != "text":
        return _ORDER[condition.sign](value, wanted)
    text, wanted = str(value).lower(), str(wanted)
    if condition.sign == "~" or (condition.field == "name" and not _is_pattern(wanted)):
        return (wanted in text) != (condition.sign == "!=")
    return _text_equal(text, wanted) != (condition.sign == "!=")


def _text_equal(text: str, wanted: str) -> bool:
    return fnmatchcase(text.lower(), wanted) if _is_pattern(wanted) else text.lower() == wanted


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def search(candidates: Sequence[Candidate], conditions: Sequence[Condition]) -> list[Candidate]:
    """The candidates that meet all conditions, in their order."""
    # What has to be counted comes last, for as few candidates as possible.
    ordered = sorted(conditions, key=lambda condition: condition.field in ("params", "gmacs"))
    return [one for one in candidates if all(meets(one, condition) for condition in ordered)]


def sort(candidates: Sequence[Candidate], field: str | None = None) -> list[Candidate]:
    """Sorted by a field, scores from the largest, everything else from the smallest; None: by `miou`, then `gmacs`.

    What does not have the field comes last.

    Raises:
        RecipeError: R208, no such field.
    """
    fields = ("miou", "gmacs") if field is None else (_field(field), "miou", "gmacs")
    return sorted(candidates, key=lambda one: (*(_sort_key(one, name) for name in fields), one.recipe.name))


def _sort_key(candidate: Candidate, field: str) -> tuple[bool, Any]:
    value = candidate[field]
    if value is None:
        return True, 0
    if isinstance(value, tuple):
        return False, value[0] * value[1]
    return False, -value if field in LARGEST_FIRST and isinstance(value, float) else value


def explain_nothing(candidates: Sequence[Candidate], conditions: Sequence[Condition]) -> list[str]:
    """Why nothing was found: per condition how many it excludes, and how many there would be without it."""
    lines = []
    for condition in conditions:
        excluded = sum(not meets(one, condition) for one in candidates)
        without = len(search(candidates, [other for other in conditions if other is not condition]))
        rest = f"; without it there would be {without}" if len(conditions) > 1 else ""
        lines.append(f"{condition.text} excludes {excluded} of {len(candidates)}{rest}")
    return lines


def _bad(message: str, help: str) -> RecipeError:
    return RecipeError("R208", message, help)
