from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from pixelwise.layers.sizes import ceil_divide, surely_equal


@given(st.integers(0, 5000), st.integers(1, 64))
def test_a_quotient_is_rounded_up(length: int, divisor: int) -> None:
    assert ceil_divide(length, divisor) == math.ceil(length / divisor)


def test_known_lengths_are_compared() -> None:
    assert surely_equal(3, 3)
    assert not surely_equal(3, 4)
