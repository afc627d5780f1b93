from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.metrics import METRICS, ScoredImage, Task, boundary_counts, multilabel_boundary_counts
from pixelwise.recipes.class_sets.tables import IGNORE_BIT


def paper(labels: np.ndarray, prediction: np.ndarray, class_id: int) -> tuple[int, int]:
    """Intersection and union as the paper's own code counts them: one mask, eroded step by step."""

    def band(mask: np.ndarray) -> np.ndarray:
        padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        steps = max(1, round(0.02 * math.hypot(*mask.shape)))
        return mask - cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=steps)[1:-1, 1:-1]

    truth, found = (band((ids == class_id).astype(np.uint8)) for ids in (labels, prediction))
    return int((truth & found).sum()), int((truth | found).sum())


def test_the_band_of_a_square_is_its_rim():
    # 10x10: the band is one pixel wide. A 5x5 square has a rim of 16 pixels; shifted by one, 7 of them still meet.
    labels, prediction = np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8)
    labels[2:7, 2:7] = 1
    prediction[2:7, 3:8] = 1

    counts = boundary_counts(labels, prediction, 2)

    # Upper and lower rim share 4 columns each; the left rim of one is inside of the other.
    assert (counts.intersections[1], counts.unions[1]) == (8, 16 + 16 - 8)
    assert counts.iou[1] == 8 / 24


@given(seed=st.integers(0, 1000), classes=st.sampled_from([2, 5, 254, 255]), tall=st.booleans())
@settings(max_examples=30, deadline=None)
def test_all_classes_at_once_count_what_the_paper_counts_one_by_one(seed, classes, tall):
    random = np.random.default_rng(seed)
    size = (90, 60) if tall else (40, 130)
    labels, prediction = (
        cv2.resize(random.integers(0, classes, (6, 7)).astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
        for _ in range(2)
    )

    counts = boundary_counts(labels, prediction, classes)

    for class_id in {0, classes - 1, int(labels[0, 0]), int(prediction[-1, -1])}:
        assert (counts.intersections[class_id], counts.unions[class_id]) == paper(labels, prediction, class_id)


def test_a_prediction_that_agrees_wherever_something_is_labelled_is_perfect():
    random = np.random.default_rng(0)
    labels = np.kron(random.integers(0, 3, (5, 5)), np.ones((20, 20))).astype(np.uint8)
    prediction = labels.copy()
    labels[30:60, 10:50] = 255
    prediction[30:60, 10:50] = random.integers(0, 3, (30, 40))

    assert boundary_counts(labels, prediction, 3).iou == (1.0, 1.0, 1.0)


def test_a_mistake_deep_inside_costs_less_area_than_boundary():
    labels = np.zeros((100, 100), np.uint8)
    labels[10:90, 10:90] = 1
    smaller = np.zeros_like(labels)
    smaller[14:86, 14:86] = 1

    area = (72 * 72) / (80 * 80)

    assert boundary_counts(labels, smaller, 2).iou[1] < 0.1 < area


def test_counts_add_up_over_images_and_absent_classes_have_none():
    labels = np.zeros((10, 10), np.uint8)
    once = boundary_counts(labels, labels, 2)

    twice = once + once

    assert twice.unions.tolist() == [2 * 36, 0]
    assert twice.iou[0] == 1.0
    assert math.isnan(twice.iou[1])


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (2, 2)])
def test_tiny_images_are_all_boundary(size):
    labels = np.zeros(size, np.uint8)

    assert boundary_counts(labels, labels, 1).unions.tolist() == [labels.size]


def test_the_boundary_of_each_class_is_that_of_a_black_and_white_mask():
    random = np.random.default_rng(0)
    labels, prediction = (random.integers(0, 4, (20, 20)).repeat(3, 0).repeat(3, 1).astype(np.int32) for _ in range(2))
    labels[:5] = IGNORE_BIT
    found = multilabel_boundary_counts(labels, prediction, 2)
    for k in range(2):
        truth = np.where(labels == IGNORE_BIT, 255, labels >> k & 1).astype(np.uint8)
        single = boundary_counts(truth, (prediction >> k & 1).astype(np.uint8), 2)
        assert (found.intersections[k], found.unions[k]) == (single.intersections[1], single.unions[1])


def test_the_metric_is_the_iou_of_all_bands_and_its_mean_leaves_out_classes_without_one():
    labels, prediction = np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8)
    labels[2:7, 2:7] = 1
    prediction[2:7, 3:8] = 1
    task = Task(classes=("a", "b", "c"))
    accumulator = METRICS.find("boundary_iou").accumulator(task)
    for image in (labels, prediction):
        accumulator.update(ScoredImage("x", labels, torch.from_numpy(image), task))

    found = accumulator.compute()

    counts = boundary_counts(labels, labels, 3) + boundary_counts(labels, prediction, 3)
    # The rim of the square, 16 pixels, once met by all of them and once by 8.
    assert found.per_class[1] == (16 + 8) / (16 + 24)
    assert found.per_class[:2] == counts.iou[:2]
    assert math.isnan(found.per_class[2])
    assert found.value == (found.per_class[0] + found.per_class[1]) / 2
