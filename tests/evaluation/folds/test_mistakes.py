from __future__ import annotations

import math

import numpy as np
import pytest

from pixelwise.evaluation.folds.mistakes import Evidence, Expected, expected_of, likely_mistakes, ranked, score_of
from pixelwise.evaluation.folds.out_of_fold import Said

CLASSES = ("sky", "road", "car")
EVEN = Expected(np.array([0.5, 0.5, 0.5]), np.full((3, 3), 1 / 3))


def said(confusion: list[list[int]], sums: list[float]) -> Said:
    return Said(
        weights_sha256="",
        protocol="native",
        names={},
        sure=(),
        confusion=tuple(map(tuple, confusion)),
        self_confidence=tuple(sums),
    )


def scene() -> Evidence:
    """Sky above road; a car of 10 x 12 pixels that is labelled as road, and surely predicted."""
    truth = np.zeros((40, 60), np.uint8)
    truth[20:] = 1
    predicted = truth.copy()
    predicted[25:35, 20:32] = 2
    confidence = np.full(truth.shape, 240, np.uint8)
    of_label = np.where(predicted == truth, 240, 5).astype(np.uint8)
    return Evidence(truth, predicted, confidence, of_label, truth.shape)


def test_a_surely_predicted_object_that_is_labelled_as_its_surroundings_is_found():
    (found,) = likely_mistakes(scene(), "a", CLASSES, EVEN)
    assert (found.image, found.labelled, found.predicted, found.pixels) == ("a", "road", "car", 120)
    assert (found.x, found.y, found.width, found.height) == (20, 25, 12, 10)
    assert found.confidence == pytest.approx(240 / 255)
    assert found.of_label == pytest.approx(5 / 255)
    assert found.score == pytest.approx(math.log(240 / 5) * math.log(3) * math.sqrt(120))


def test_the_box_is_in_pixels_of_the_image():
    (found,) = likely_mistakes(scene()._replace(size=(80, 180)), "a", CLASSES, EVEN)
    assert (found.x, found.y, found.width, found.height) == (60, 50, 36, 20)


def test_an_unsure_prediction_an_ignored_label_and_a_border_are_no_mistakes():
    seen = scene()
    assert likely_mistakes(seen, "a", CLASSES, EVEN._replace(least=np.array([0.5, 0.5, 0.95]))) == []
    assert likely_mistakes(seen, "a", CLASSES, EVEN._replace(least=np.array([0.5, 0.5, np.inf]))) == []
    ignored = np.where(seen.predicted == 2, np.uint8(255), seen.truth)
    assert likely_mistakes(seen._replace(truth=ignored), "a", CLASSES, EVEN) == []
    at_the_border = seen.truth.copy()
    at_the_border[19:21] = 2
    shifted = seen._replace(predicted=at_the_border, of_label=np.full((40, 60), 5, np.uint8))
    assert likely_mistakes(shifted, "a", CLASSES, EVEN) == []


def test_regions_that_do_not_touch_are_apart():
    seen = scene()
    predicted = seen.truth.copy()
    predicted[25:30, 5:15] = predicted[25:32, 30:40] = 2
    found = likely_mistakes(
        seen._replace(predicted=predicted, of_label=np.full((40, 60), 5, np.uint8)), "a", CLASSES, EVEN
    )
    assert [one.pixels for one in found] == [70, 50]


def test_thresholds_and_confusions_are_those_of_all_folds_together():
    parts = [
        said([[8, 2, 0], [0, 0, 0], [1, 0, 3]], [5.0, 0.0, 2.0]),
        said([[0, 0, 0], [0, 0, 0], [0, 0, 4]], [0, 0, 4]),
    ]
    found = expected_of(parts)
    assert found.least.tolist() == [0.5, math.inf, 0.75]
    assert found.confusions[0].tolist() == [9 / 13, 3 / 13, 1 / 13]
    assert found.confusions[2].tolist() == [2 / 11, 1 / 11, 8 / 11]


def test_what_networks_confuse_everywhere_and_what_is_small_comes_later():
    base = score_of(100, 0.9, 0.1, 0.01)
    assert score_of(100, 0.9, 0.1, 0.3) < base
    assert score_of(25, 0.9, 0.1, 0.01) == pytest.approx(base / 2)
    assert score_of(100, 0.9, 0.05, 0.01) > base
    assert score_of(100, 0.9, 0.0, 0.01) == score_of(100, 0.9, 1 / 510, 0.01)


def test_the_likeliest_comes_first():
    first = likely_mistakes(scene(), "b", CLASSES, EVEN)
    rare = likely_mistakes(scene(), "a", CLASSES, EVEN._replace(confusions=np.full((3, 3), 0.9)))
    assert [one.image for one in ranked([*rare, *first])] == ["b", "a"]
