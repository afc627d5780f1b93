from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused

from pixelwise.recipes.schema.base import (
    Part,
    require,
    require_at_least,
    require_below_one,
    require_positive,
    require_share,
    require_size,
    require_writable,
)

NUMBERS = st.floats(allow_nan=False, min_value=-3, max_value=3) | st.integers(-3, 3)


def at_least_two(field: str, value: float | None, help: str) -> None:
    require_at_least(2, field, value, help)


# What is accepted up to its ends, and what lies just beyond them.
LIMITS: list[tuple[Callable[[str, float, str], None], list[float], list[float]]] = [
    (at_least_two, [2, 2.5, math.inf], [1, 1.999, -2, math.nan]),
    (require_positive, [1e-300, 1, math.inf], [0, -1e-300, -1, math.nan]),
    (require_below_one, [0, 0.5, 0.999], [-0.001, 1, 2, math.nan]),
    (require_share, [0, 0.5, 1], [-0.001, 1.001, math.nan]),
]


@pytest.mark.parametrize(("check", "good", "bad"), LIMITS, ids=lambda case: getattr(case, "__name__", ""))
def test_values_are_accepted_up_to_the_ends_of_their_range(check: Callable, good: list[float], bad: list[float]):
    for value in good:
        check("part.field", value, "what to do")
    for value in bad:
        error = refused(check, "part.field", value, "what to do")
        assert (error.code, error.help) == ("R203", "what to do")
        assert error.message.startswith(f"part.field is {value}; expected ")


@given(value=NUMBERS, least=st.integers(-3, 3))
def test_at_least_refuses_exactly_what_is_smaller(value: float, least: int):
    if value < least:
        assert f"expected {least} or more" in refused(require_at_least, least, "part.field", value, "").message
    else:
        require_at_least(least, "part.field", value, "")


@given(value=NUMBERS)
def test_a_share_is_what_is_below_one_or_one(value: float):
    below = value >= 0 and value < 1
    for check, accepted in ((require_below_one, below), (require_share, below or value == 1)):
        if accepted:
            check("part.field", value, "")
        else:
            refused(check, "part.field", value, "")


def test_what_is_not_given_passes():
    require_at_least(1, "part.field", None, "")
    require_size("part.size", None)


@pytest.mark.parametrize("size", [(0, 1), (1, 0), (-1, 5), (0, 0)])
def test_a_size_has_pixels(size: tuple[int, int]):
    require_size("part.size", (1, 1))
    error = refused(require_size, "part.size", size)
    assert error.code == "R203"
    assert error.message.startswith(f"part.size is {list(size)}; ")


def test_a_condition_that_holds_is_silent_and_another_says_its_sentence():
    require(True, "part.field is 1", "make it 2")
    error = refused(require, False, "part.field is 1", "make it 2")
    assert (error.code, error.message, error.help) == ("R203", "part.field is 1", "make it 2")


class Own(Part, frozen=True, kw_only=True):
    """A part with one field."""

    number: int = 3


def test_parts_stay_as_they_are_made():
    part = Own()
    with pytest.raises(AttributeError):
        part.number = 4  # type: ignore[misc]
    assert (part.number, part) == (3, Own(number=3))


def test_parts_have_no_other_fields_than_their_own():
    assert msgspec.convert({"number": 4}, Own) == Own(number=4)
    with pytest.raises(msgspec.ValidationError, match="numbre"):
        msgspec.convert({"numbre": 4}, Own)


class Inner(Part, frozen=True):
    size: Annotated[int | None, "mark"] = 3


class Unset(Part, frozen=True):
    size: int | None = None
    names: tuple[str | None, ...] = ()


@pytest.mark.parametrize(
    ("annotation", "default", "field"),
    [
        (Annotated[float | None, "mark"], 1.0, "Outer.x"),
        (int | str | None, "a", "Outer.x"),
        (Inner, Inner(), "Inner.size"),
        (dict[str, Inner] | None, None, "Inner.size"),
        (tuple[Inner, ...], (), "Inner.size"),
        (Unset, Unset(), ""),
        (int | None, None, ""),
        (int, 1, ""),
    ],
)
def test_what_toml_cannot_say_is_no_default(annotation: Any, default: Any, field: str):
    outer = msgspec.defstruct("Outer", [("x", annotation, default)], frozen=True)
    refused = pytest.raises(TypeError, match=rf"^{re.escape(field)} accepts None")
    with refused if field else contextlib.nullcontext():
        require_writable(outer)
