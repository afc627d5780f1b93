from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pixelwise.evaluation.details import details_of, near_border, regions_of
from pixelwise.metrics import ScoredImage, Task
from pixelwise.records.details import ClassPixels, ConfusedPixels, RegionCounts


def scored(truth: np.ndarray, prediction: np.ndarray, classes: int = 3, *, multilabel: bool = False) -> ScoredImage:
    task = Task(classes=tuple("abcdefgh"[:classes]), multilabel=multilabel)
    return ScoredImage("image", truth, torch.from_numpy(prediction), task)


def test_cells_that_are_not_zero_are_kept():
    truth = np.array([[0, 0, 1, 255]], np.uint8)

    details = details_of(scored(truth, np.array([[0, 2, 1, 1]], np.uint8)))

    assert details.id == "image"
    assert details.confusion == (ConfusedPixels(0, 0, 1), ConfusedPixels(0, 2, 1), ConfusedPixels(1, 1, 1))


def test_errors_near_a_border_are_told_from_others():
    truth = np.zeros((1, 40), np.uint8)
    truth[0, 20:] = 1
    prediction = truth.copy()
    prediction[0, [2, 18]] = 1

    details = details_of(scored(truth, prediction))

    assert (details.near, details.near_wrong) == (10, 1)
    assert details.far_wrong == 1


def test_the_edge_of_ignored_pixels_is_no_border():
    truth = np.zeros((1, 40), np.uint8)
    truth[0, 20:] = 255

    assert not near_border(truth).any()


def test_multi_label_images_have_counts_per_class():
    truth = np.array([[0b01, 0b11, 0b00]], np.int32)

    details = details_of(scored(truth, np.array([[0b01, 0b01, 0b00]], np.int32), multilabel=True))

    assert details.binary == (ClassPixels(0, 2, 0, 0), ClassPixels(1, 0, 0, 1))
    assert (details.confusion, details.regions, details.wrong) == ((), (), 0)


def test_regions_are_found_missed_and_invented():
    truth, prediction = np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.uint8)
    truth[2:6, 2:6] = 1  # half of it is found
    prediction[2:6, 2:4] = 1
    truth[10:14, 2:6] = 1  # missed
    prediction[20:24, 2:6] = 1  # invented
    prediction[30:34, 2:6] = 1  # not judged
    truth[30:34, 2:6] = 255

    assert regions_of(truth, prediction) == [
        RegionCounts(0, "medium", 1, 1, 0),
        RegionCounts(1, "small", 2, 1, 1),
    ]


def test_regions_that_touch_at_a_corner_are_one():
    truth = np.zeros((4, 4), np.uint8)
    truth[0, 0] = truth[1, 1] = 1

    assert RegionCounts(1, "small", 1, 1, 0) in regions_of(truth, truth)


@pytest.mark.parametrize(("side", "size"), [(31, "small"), (32, "medium"), (95, "medium"), (96, "large")])
def test_sizes_are_those_of_coco(side, size):
    truth = np.full((side, side), 2, np.uint8)

    assert regions_of(truth, truth) == [RegionCounts(2, size, 1, 1, 0)]


LABELS = arrays.arrays(np.uint8, (9, 12), elements=st.sampled_from([0, 1, 2, 255]))


@given(LABELS, arrays.arrays(np.uint8, (9, 12), elements=st.sampled_from([0, 1, 2])))
def test_counts_add_up(truth, prediction):
    details = details_of(scored(truth, prediction))

    assert sum(cell.pixels for cell in details.confusion) == (truth != 255).sum()
    assert details.wrong == ((truth != prediction) & (truth != 255)).sum()
    assert 0 <= details.near_wrong <= min(details.near, details.wrong)
    assert all(0 <= one.found <= one.labelled for one in details.regions)


@given(LABELS)
def test_a_perfect_prediction_misses_and_invents_nothing(truth):
    prediction = np.where(truth == 255, 0, truth).astype(np.uint8)

    assert all(one.found == one.labelled and one.invented == 0 for one in regions_of(truth, prediction))
