import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pixelwise.pages.errors import (
    COLORS,
    KINDS,
    SMALLEST_CROP,
    Region,
    counts_of,
    crop,
    kinds_of,
    kinds_png,
    mask_of,
    regions_of,
)
from pixelwise.pages.pictures import Shown

BOUNDARY, MISSED, INVENTED, CONFUSED = 1, 2, 3, 4


def scene() -> np.ndarray:
    """Class 1 above, class 0 below, and in the latter a square of class 2 and 20 x 20 pixels."""
    truth = np.zeros((120, 120), np.uint8)
    truth[:40] = 1
    truth[60:80, 60:80] = 2
    return truth


def test_what_is_right_or_ignored_is_no_error():
    truth = scene()
    assert not kinds_of(truth, truth).any()
    truth[:] = 255
    assert not kinds_of(truth, scene()).any()


def test_an_edge_in_the_wrong_place_is_a_boundary():
    truth, moved = scene(), scene()
    moved[40:43] = 1
    assert set(np.unique(kinds_of(truth, moved)).tolist()) == {0, BOUNDARY}
    assert np.count_nonzero(kinds_of(truth, moved)) == 3 * 120


def test_a_segment_that_is_given_to_what_is_around_it_is_missed():
    truth, prediction = scene(), scene()
    prediction[60:80, 60:80] = 0
    kinds = kinds_of(truth, prediction)
    # Within 5 px of its border it counts as boundary: 20 - 2 x 5 pixels are left in either direction.
    assert list(counts_of(kinds)) == [400 - 100, 100, 0, 0]
    assert kinds[70, 70] == MISSED


def test_a_segment_that_is_not_there_is_invented():
    truth, prediction = scene(), scene()
    prediction[90:110, 20:40] = 2
    assert list(counts_of(kinds_of(truth, prediction))) == [0, 0, 400, 0]


def test_a_segment_that_is_found_as_another_class_is_confused():
    truth, prediction = scene(), scene()
    prediction[60:80, 60:80] = 3
    assert kinds_of(truth, prediction)[70, 70] == CONFUSED


def test_a_part_of_a_segment_that_is_found_is_confused():
    truth = np.zeros((60, 200), np.uint8)
    truth[:, 100:] = 1
    prediction = truth.copy()
    prediction[:, 100:130] = 0
    # The region of class 0 is mostly right, that of class 1 mostly found.
    assert kinds_of(truth, prediction)[30, 120] == CONFUSED


@given(st.integers(0, 2**32 - 1))
def test_every_wrong_pixel_is_of_one_kind(seed: int):
    random = np.random.default_rng(seed)
    truth, prediction = (
        cv2.resize(random.integers(0, 4, (6, 7)).astype(np.uint8), (35, 30), interpolation=cv2.INTER_NEAREST)
        for _ in range(2)
    )
    truth[random.random(truth.shape) < 0.1] = 255
    kinds = kinds_of(truth, prediction)
    wrong = (truth != 255) & (truth != prediction)
    assert ((kinds > 0) == wrong).all()
    assert kinds.max(initial=0) <= len(KINDS)
    assert sum(counts_of(kinds)) == np.count_nonzero(wrong)


def test_regions_are_connected_and_the_largest_comes_first():
    mask = np.zeros((9, 9), bool)
    mask[0, 0] = mask[1, 1] = True  # connected by a corner
    mask[4:7, 5:9] = True
    assert regions_of(mask) == [Region(4, 5, 3, 4, 12), Region(0, 0, 2, 2, 2)]
    assert regions_of(np.zeros((3, 3), bool)) == []


def test_the_pixels_of_a_cell_and_of_a_kind():
    truth, prediction = scene(), scene()
    prediction[60:80, 60:80] = 0
    shown = Shown(np.zeros((120, 120, 3), np.uint8), truth, prediction)
    assert np.count_nonzero(mask_of(shown, "2-0")) == 400
    assert np.count_nonzero(mask_of(shown, "0-2")) == 0
    assert np.count_nonzero(mask_of(shown, "missed")) == 100


@pytest.mark.parametrize("region", [Region(0, 0, 2, 2, 4), Region(299, 399, 1, 1, 1), Region(0, 0, 300, 400, 1)])
def test_a_picture_of_a_region_shows_what_is_around_it(region: Region):
    mask = np.zeros((300, 400), bool)
    mask[region.top : region.top + region.height, region.left : region.left + region.width] = True
    shown = Shown(np.full((300, 400, 3), 90, np.uint8), mask.astype(np.uint8), mask.astype(np.uint8))
    picture = Image.open(io.BytesIO(crop(shown, mask, region)))
    assert picture.format == "JPEG"
    assert min(picture.size) >= min(SMALLEST_CROP, 300)


def test_an_image_that_is_smaller_than_a_picture_is_shown_whole():
    mask = np.zeros((20, 30), bool)
    mask[3:5, 3:5] = True
    shown = Shown(np.zeros((20, 30, 3), np.uint8), mask.astype(np.uint8), mask.astype(np.uint8))
    width, height = Image.open(io.BytesIO(crop(shown, mask, Region(3, 3, 2, 2, 4)))).size
    assert width / height == 1.5


def test_the_map_of_kinds_has_their_colours():
    picture = Image.open(io.BytesIO(kinds_png(np.array([[0, 1, 4]], np.uint8)))).convert("RGBA")
    assert [picture.getpixel((x, 0)) for x in range(3)][1:] == [(*COLORS[0], 255), (*COLORS[3], 255)]
    assert picture.getpixel((0, 0))[3] == 0  # type: ignore[index]
