import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.datasets.reading.areas import inner_pixels, measure


def test_areas_of_a_mask_are_counted():
    values = np.zeros((5, 6), np.uint8)
    values[:, 3:] = 8
    found = measure(values)
    assert found.pixels == {0: 15, 8: 15}
    assert found.inner == {0: 3, 8: 3}  # rows 1 to 3 of column 1 and of column 4
    assert (found.between, found.steps, found.ramps) == ({}, 10, 0)


def test_a_ramp_between_two_areas_is_told_from_a_step():
    row = np.array([0, 0, 0, 4, 8, 8, 8], np.uint8)
    found = measure(np.tile(row, (4, 1)))
    assert found.between == {4: 4}
    assert (found.steps, found.ramps) == (12, 4)
    assert 4 not in found.inner


def test_steps_to_ignored_pixels_do_not_count():
    found = measure(np.tile(np.array([0, 0, 0, 100, 255, 255, 255], np.uint8), (4, 1)))
    assert (found.steps, found.ramps) == (4, 0)  # the left side of the step to 100


def test_tiny_masks_have_no_areas():
    assert measure(np.zeros((2, 9), np.uint8)).inner == {}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_every_integer_type_is_measured(dtype: type):
    values = np.tile(np.array([0, 0, 0, 4, 8, 8, 8]), (4, 1)).astype(dtype)
    assert measure(values) == measure(values.astype(np.uint8))


def test_negative_values_have_areas_but_no_ramps():
    found = measure(np.full((4, 4), -9999, np.int32))
    assert (found.inner, found.steps) == ({-9999: 4}, 0)


def test_colours_of_a_noisy_mask_are_those_of_its_areas():
    rng = np.random.default_rng(0)
    colors = np.array([(200, 40, 40), (40, 200, 40)], np.int16)
    labels = np.zeros((40, 40), np.int64)
    labels[:, 20:] = 1
    noisy = np.clip(colors[labels] + rng.integers(-4, 5, (40, 40, 3)), 0, 255).astype(np.uint8)
    found = measure(noisy)
    assert found.noisy
    near = [min(abs((code >> 16) - red) for red in (200, 40)) for code in found.inner]
    assert max(near) <= 4
    assert sum(found.inner.values()) > 1200


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_inner_pixels_are_those_with_eight_equal_neighbours(data: st.DataObject):
    height, width = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 7))
    values = np.array(data.draw(st.lists(st.integers(0, 1), min_size=height * width, max_size=height * width)))
    values = values.reshape(height, width)
    expected = [
        [
            0 < y < height - 1
            and 0 < x < width - 1
            and len({int(v) for v in values[y - 1 : y + 2, x - 1 : x + 2].ravel()}) == 1
            for x in range(width)
        ]
        for y in range(height)
    ]
    assert inner_pixels(values).tolist() == expected
