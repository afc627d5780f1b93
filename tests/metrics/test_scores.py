from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.metrics import METRICS, SCORES, ScoredImage, Task, confusion_matrix, scores
from pixelwise.metrics.scores import totals_of

# truth:     class 0: 5 px, class 1: 4 px, class 2: 1 px
WORKED = np.array([[4, 1, 0], [1, 2, 1], [0, 0, 1]])


def test_the_worked_example_by_hand():
    found = scores(WORKED)

    assert found.iou == (4 / 6, 2 / 5, 1 / 2)
    assert found.accuracy == (4 / 5, 2 / 4, 1 / 1)
    assert found.precision == (4 / 5, 2 / 3, 1 / 2)
    assert found.pixels == (5, 4, 1)
    assert found.miou == pytest.approx((4 / 6 + 2 / 5 + 1 / 2) / 3, abs=0)
    assert found.pixel_accuracy == 7 / 10
    assert found.classes_present == 3


ABSENT = np.array([[3, 1, 0], [0, 0, 0], [0, 0, 0]])  # class 1 only predicted, class 2 nowhere


def test_a_class_that_is_only_predicted_counts_zero_in_the_mean():
    found = scores(ABSENT)

    assert found.iou[:2] == (3 / 4, 0.0)
    assert math.isnan(found.iou[2])
    assert found.miou == 3 / 8
    assert found.classes_present == 2


def test_an_absent_class_counts_zero_where_the_protocol_says_so():
    assert scores(ABSENT, absent="zero").miou == (3 / 4) / 3


def test_what_cannot_be_divided_is_nan():
    found = scores(ABSENT)

    assert math.isnan(found.accuracy[1])
    assert found.precision[1] == 0.0
    assert math.isnan(found.precision[2])


def test_without_any_labelled_pixel_there_is_no_mean():
    found = scores(np.zeros((3, 3), dtype=np.int64))

    assert math.isnan(found.miou)
    assert math.isnan(found.pixel_accuracy)
    assert found.classes_present == 0
    assert scores(np.zeros((3, 3), dtype=np.int64), absent="zero").miou == 0.0


def test_tensors_and_arrays_score_alike():
    assert scores(torch.tensor(WORKED)) == scores(WORKED)


def test_counts_beyond_32_bits_are_exact():
    found = scores(np.array([[3_000_000_001, 1], [0, 1]], dtype=np.int64))

    assert found.pixels[0] == 3_000_000_002
    assert found.iou[0] == 3_000_000_001 / 3_000_000_002


@given(seed=st.integers(0, 1 << 16), num_classes=st.integers(1, 6))
def test_iou_equals_intersection_over_union_of_pixel_sets(seed, num_classes):
    generator = np.random.default_rng(seed)
    labels = generator.choice([*range(num_classes), 255], 40).astype(np.uint8)
    prediction = generator.integers(0, num_classes, 40).astype(np.uint8)

    found = scores(confusion_matrix(labels, prediction, num_classes))

    for class_id in range(num_classes):
        truth = {i for i in range(40) if labels[i] == class_id}
        guess = {i for i in range(40) if prediction[i] == class_id and labels[i] != 255}
        expected = len(truth & guess) / len(truth | guess) if truth | guess else math.nan
        assert found.iou[class_id] == pytest.approx(expected, nan_ok=True, abs=0)


def test_f1_is_the_harmonic_mean_of_accuracy_and_precision():
    found = scores(np.array([[3, 1], [2, 4]]))

    assert found.f1 == (6 / 9, 8 / 11)
    for accuracy, precision, f1 in zip(found.accuracy, found.precision, found.f1, strict=True):
        assert f1 == pytest.approx(2 * accuracy * precision / (accuracy + precision))


def test_means_over_classes_and_over_pixels():
    # 4 pixels of class 0 with IoU 3/6 and accuracy 3/4; 6 of class 1 with IoU 4/7 and accuracy 4/6; class 2 nowhere.
    found = scores(np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]]))

    assert found.mean_accuracy == pytest.approx((3 / 4 + 4 / 6) / 2)
    assert found.frequency_weighted_iou == pytest.approx((4 * 3 / 6 + 6 * 4 / 7) / 10)


def test_a_void_prediction_is_a_miss_and_nobodys_false_positive():
    found = scores(np.array([[2, 0, 2], [0, 4, 0]]))

    assert found.iou == (2 / 4, 1.0)
    assert found.accuracy == (2 / 4, 1.0)
    assert found.precision == (1.0, 1.0)
    assert found.pixel_accuracy == 6 / 8


def test_a_matrix_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 4\); expected \(K, K\), or \(K, K \+ 1\)"):
        scores(np.zeros((2, 4), int))


def test_sums_of_images_give_the_scores_of_their_matrix():
    random = np.random.default_rng(0)
    one, other = (random.integers(0, 50, (4, 4)) for _ in range(2))
    other[2] = other[:, 2] = 0
    together = totals_of(one).plus(totals_of(other))

    assert together.scores() == scores(one + other)
    assert together.unions.tolist() == ((one + other).sum(0) + (one + other).sum(1) - np.diag(one + other)).tolist()
    assert (together.correct, together.decisions) == (np.trace(one + other), (one + other).sum())


def test_sums_of_binary_counts_count_a_decision_per_class():
    # TP, FP, FN, TN of two classes in five labelled pixels.
    totals = totals_of(np.array([[2, 0, 0, 3], [1, 1, 1, 2]]), multilabel=True)

    assert (totals.right.tolist(), totals.labelled.tolist(), totals.predicted.tolist()) == ([2, 1], [2, 2], [2, 2])
    assert (totals.correct, totals.decisions) == (2 + 3 + 1 + 2, 10)
    with pytest.raises(ValueError, match=r"expected \(K, 4\)"):
        totals_of(np.zeros((4, 3)), multilabel=True)


@pytest.mark.parametrize("absent", ["skip", "zero"])
def test_each_metric_is_its_part_of_the_scores(absent: str):
    labels, prediction = np.array([[0, 0, 1, 255]], np.uint8), np.array([[0, 1, 1, 0]], np.uint8)
    task = Task(classes=("a", "b", "c"), absent=absent)
    image = ScoredImage("x", labels, torch.from_numpy(prediction), task)
    found = {}
    for name in SCORES:
        accumulator = METRICS.find(name).accumulator(task)
        accumulator.update(image)
        found[name] = accumulator.compute()

    # Class a: one of two found; b: found, and one pixel too many; c occurs nowhere.
    assert found["iou"].value == (1 / 2 + 1 / 2) / (2 if absent == "skip" else 3)
    assert found["iou"].per_class[:2] == (1 / 2, 1 / 2)
    assert found["accuracy"].per_class[:2] == (1 / 2, 1.0)
    assert found["accuracy"].value == 3 / 4
    assert found["precision"].per_class[:2] == (1.0, 1 / 2)
    assert found["f1"].per_class[:2] == (2 / 3, 2 / 3)
    assert found["pixel_accuracy"].value == 2 / 3
    assert found["frequency_weighted_iou"].value == 1 / 2
    assert all(math.isnan(found[name].per_class[2]) for name in ("iou", "accuracy", "precision", "f1"))
