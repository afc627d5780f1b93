from __future__ import annotations

import math

import pytest

from pixelwise.reports.numbers import count, duration, memory, pace, percent, share, speed


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.5312, "53.12"), (1.0, "100.00"), (0.0, "0.00"), (math.nan, "n/a"), (0.53125, "53.12")],
)
def test_fractions_are_percent_with_two_decimals(fraction, text):
    assert percent(fraction) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0.268, "26.8"),
        (1.0, "100.0"),
        (0.0066, "0.66"),
        (0.00007, "0.0070"),
        (0.05, "5.00"),
        (0, "0"),
        (math.nan, "n/a"),
    ],
)
def test_small_shares_keep_two_significant_digits(fraction, text):
    assert share(fraction) == text


def test_large_counts_are_grouped_by_narrow_spaces():
    assert count(40262400) == "40\u202f262\u202f400"
    assert count(999) == "999"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.21, "3.2 s"), (59.6, "1 min 0 s"), (75, "1 min 15 s"), (4000, "1 h 6 min"), (42, "42 s")],
)
def test_durations_use_the_units_people_use(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(1610612736, "1.5 GiB"), (300 << 20, "300 MiB")])
def test_memory_is_binary(size, text):
    assert memory(size) == text


@pytest.mark.parametrize(("rate", "text"), [(14.234, "14.2"), (0.5, "0.5"), (123.4, "123")])
def test_speeds_have_three_digits(rate, text):
    assert speed(rate) == text


@pytest.mark.parametrize(("rate", "text"), [(14.23, "14.2"), (4.0, "4.0"), (0.5, "0.5"), (0.0212, "0.021")])
def test_a_slow_pace_is_not_nothing(rate: float, text: str):
    assert pace(rate) == text
