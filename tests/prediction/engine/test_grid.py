from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.prediction.engine.grid import central_parts, window_starts, windows_of


def test_the_last_window_is_moved_back_to_end_with_the_image():
    assert window_starts(2048, 1024, 768) == [0, 768, 1024]
    assert window_starts(1024, 1024, 768) == [0]
    assert window_starts(10, 4, 3) == [0, 3, 6]
    assert window_starts(11, 4, 3) == [0, 3, 6, 7]


def test_windows_can_be_as_few_as_cover_the_image_at_equal_distances():
    assert window_starts(2048, 1024, 1024, even=True) == [0, 1024]
    assert window_starts(683, 512, 512, even=True) == [0, 171]
    assert window_starts(11, 4, 4, even=True) == [0, 3, 7]  # 0, 3.5, 7
    assert window_starts(4, 4, 4, even=True) == [0]
    assert [window.left for window in windows_of((4, 11), (4, 4), None, even=True)] == [0, 3, 7]


def test_segformers_windows_on_cityscapes_are_three():
    found = [window[:4] for window in windows_of((1024, 2048), (1024, 1024), (768, 768))]

    assert found == [(0, 0, 1024, 1024), (0, 768, 1024, 1024), (0, 1024, 1024, 1024)]


@given(height=st.integers(1, 40), width=st.integers(1, 40), window=st.integers(1, 30), stride=st.integers(1, 30))
def test_windows_see_every_pixel_and_never_leave_the_image(height, width, window, stride):
    seen = np.zeros((height, width), int)
    for one in windows_of((height, width), (window, window), (min(stride, window),) * 2):
        assert one.bottom <= height
        assert one.left + one.width <= width
        seen[one.top : one.bottom, one.left : one.left + one.width] += 1

    assert seen.min() >= 1


def test_windows_of_a_mirrored_image_are_laid_out_from_its_own_left():
    lefts = [window.left for window in windows_of((2, 10), (2, 4), (2, 4), mirrored=True)]

    # On the mirrored image 0, 4, 6: upright these end at 10, 6 and 4.
    assert lefts == [6, 2, 0]


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.tuples(st.integers(4, 16), st.integers(4, 16)),
    st.tuples(st.integers(2, 16), st.integers(2, 16)),
)
def test_each_pixel_belongs_to_the_window_with_the_nearest_centre(size, window, stride):
    stride = tuple(min(pair) for pair in zip(stride, window, strict=True))
    windows = windows_of(size, window, stride)
    owner, parts = np.full(size, -1), central_parts(windows, size)
    for number, one in enumerate(windows):
        top, bottom, left, right = parts[one.top, one.left]
        assert (owner[top:bottom, left:right] == -1).all()
        assert one.top <= top <= bottom <= one.bottom
        owner[top:bottom, left:right] = number
    # The oracle measures the distance of every pixel to every centre; argmin takes the first, upper left one of equals.
    rows, columns = np.mgrid[: size[0], : size[1]]
    centres = [(2 * one.top + one.height - 1, 2 * one.left + one.width - 1) for one in windows]
    distances = [(2 * rows - y) ** 2 + (2 * columns - x) ** 2 for y, x in centres]
    assert np.array_equal(owner, np.argmin(distances, axis=0))
