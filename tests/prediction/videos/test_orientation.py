from __future__ import annotations

import struct

import numpy as np
import pytest

from pixelwise.prediction.videos.orientation import UPRIGHT, orientation_of

FRAME = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
ONE = 1 << 16


def matrix(a: int, b: int, c: int, d: int) -> bytes:
    return struct.pack("=9i", a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)


def placed(a: int, b: int, c: int, d: int) -> np.ndarray:
    """The oracle: every pixel at column p and row q goes to (a p + c q, b p + d q), then all begin at 0."""
    places = {(a * p + c * q, b * p + d * q): FRAME[q, p] for q in range(2) for p in range(3)}
    left, top = (min(place[axis] for place in places) for axis in (0, 1))
    width, height = (max(place[axis] for place in places) + 1 for axis in (0, 1))
    found = np.empty((height - top, width - left, 1), np.uint8)
    for (x, y), value in places.items():
        found[y - top, x - left] = value
    return found


@pytest.mark.parametrize("first", [-1, 1])
@pytest.mark.parametrize("second", [-1, 1])
@pytest.mark.parametrize("crossed", [False, True])
def test_all_turns_and_mirrorings_of_right_angles(first: int, second: int, crossed: bool):
    entries = (0, first, second, 0) if crossed else (first, 0, 0, second)
    assert np.array_equal(orientation_of(matrix(*entries)).upright(FRAME), placed(*entries))


@pytest.mark.parametrize("unknown", [None, b"", matrix(1, 1, -1, 1), matrix(0, 0, 0, 0)])
def test_what_is_no_right_angle_stays_as_it_is_stored(unknown: bytes | None):
    assert orientation_of(unknown) == UPRIGHT
