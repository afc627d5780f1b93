from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from pixelwise.evaluation.suspects import Predicted
from pixelwise.evaluation.thresholds import LEVELS, MOST_MAPS, level_picture, levels_of
from pixelwise.recipes.class_sets.tables import IGNORE_BIT

IMAGE = np.zeros((1, 4, 3), np.uint8)


def filled(levels: tuple[int, ...]) -> dict[int, int]:
    assert len(levels) == LEVELS
    return {level: pixels for level, pixels in enumerate(levels) if pixels}


def test_of_two_classes_the_probability_of_the_second_is_sorted_into_levels():
    truth = np.array([[1, 1, 0, 255]], np.uint8)
    prediction = np.array([[1, 0, 0, 1]], np.uint8)
    confidence = np.array([[0.905, 0.6, 1.0, 0.7]], np.float32)
    (found,) = levels_of(Predicted(IMAGE, truth, prediction, confidence), None, 2)
    assert found.counts.class_id == 1
    assert filled(found.counts.labelled) == {90: 1, 39: 1}
    assert filled(found.counts.other) == {0: 1}
    assert found.levels is not None
    assert found.levels.tolist() == [[90, 39, 0, 69]]


def test_above_the_half_is_what_was_decided_whatever_the_rounding():
    prediction = np.array([[1, 0]], np.uint8)
    truth = np.ones((1, 2), np.uint8)
    (found,) = levels_of(Predicted(IMAGE, truth, prediction, np.full((1, 2), 0.5, np.float32)), None, 2)
    assert filled(found.counts.labelled) == {50: 1, 49: 1}


def test_every_class_of_multilabel_data_has_its_own_levels():
    truth = np.array([[1, 3, 0, IGNORE_BIT], [2, 0, 0, 0]], np.int32)
    probabilities = np.array(
        [[[0.9, 0.2, 0.1, 0.9], [0.1, 0.1, 0.1, 0.8]], [[0.1, 0.7, 0.1, 0.9], [0.605, 0.1, 0.1, 0.1]]], np.float32
    )
    prediction = ((probabilities[0] > 0.5) + 2 * (probabilities[1] > 0.5)).astype(np.int32)
    bands = lambda: iter([(row, torch.from_numpy(probabilities[:, row : row + 1])) for row in (0, 1)])  # noqa: E731
    first, second = levels_of(Predicted(IMAGE, truth, prediction), bands, 2)
    assert filled(first.counts.labelled) == {89: 1, 19: 1}
    assert filled(first.counts.other) == {9: 4, 79: 1}
    assert filled(second.counts.labelled) == {69: 1, 60: 1}
    assert sum(second.counts.labelled) + sum(second.counts.other) == 7  # one pixel is ignored
    assert first.levels is not None
    assert first.levels.shape == (2, 4)


def test_of_many_classes_only_counts_are_kept():
    classes = MOST_MAPS + 1
    truth = np.zeros((1, 2), np.int32)
    bands = lambda: iter([(0, torch.full((classes, 1, 2), 0.25))])  # noqa: E731
    found = levels_of(Predicted(IMAGE, truth, truth), bands, classes)
    assert [one.levels for one in found] == [None] * classes
    assert filled(found[-1].counts.other) == {24: 2}


@pytest.mark.parametrize(("classes", "confidence"), [(3, np.ones((1, 1), np.float32)), (2, None)])
def test_other_networks_have_no_threshold(classes: int, confidence: np.ndarray | None):
    labels = np.zeros((1, 1), np.uint8)
    assert levels_of(Predicted(IMAGE, labels, labels, confidence), None, classes) == []


def test_the_picture_is_small_and_as_bright_as_the_class_is_probable():
    levels = np.repeat(np.linspace(0, 99, 1000).astype(np.uint8)[None], 800, 0)
    data = level_picture(levels)
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (640, 512)
        grey = np.asarray(picture.convert("L")).astype(float)
    assert len(data) < 20_000
    expected = np.linspace(0.5, 99.5, 640) * 2.55
    assert np.abs(grey.mean(0) - expected).max() < 6
