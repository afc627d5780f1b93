import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from evaluation.color_model import CLASSES, PALETTE

from pixelwise.prediction.labelling.signals import (
    FEATURES,
    Signals,
    described,
    kept_labels,
    layout_of,
    measured,
    read_signals,
)
from pixelwise.prediction.prediction import Prediction

SCORES = np.array(
    [
        [[1.0, 0.5, 0.25, 0.75]],
        [[0.0, 0.5, 0.25, 0.25]],
        [[0.0, 0.0, 0.25, 0.0]],
        [[0.0, 0.0, 0.25, 0.0]],
    ],
    np.float32,
)
"""Four pixels: certain, between two classes, between all four, and rather the first."""


def test_pixels_below_the_threshold_are_open():
    labels = SCORES.argmax(0).astype(np.uint8)
    prediction = Prediction(
        image=np.zeros((1, 4, 3), np.uint8), labels=labels, scores=SCORES, classes=CLASSES, palette=PALETTE
    )
    assert kept_labels(prediction, 0.75).tolist() == [[0, 255, 255, 0]]
    assert kept_labels(prediction, 0.0).tolist() == [[0, 0, 0, 0]]
    assert kept_labels(prediction, 1.0).tolist() == [[0, 255, 255, 255]]


def test_numbers_of_four_pixels_by_hand():
    found = measured(SCORES, np.array([[0, 255, 255, 0]], np.uint8))
    last = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(4)
    assert found["uncertainty"] == pytest.approx((0 + 0.5 + 1 + last) / 4, rel=1e-4)
    assert found["margin"] == pytest.approx((1 + 0 + 0 + 0.5) / 4)
    assert (found["pixels"], found["kept"]) == (4, 2)


def test_the_classes_between_which_open_pixels_are_undecided():
    scores = np.array([[[0.6, 0.1, 0.5]], [[0.4, 0.5, 0.1]], [[0.0, 0.4, 0.4]]], np.float32)
    found = measured(scores, np.full((1, 3), 255, np.uint8))
    assert (found["between"], found["share_between"]) == ((0, 1), pytest.approx(1 / 3, rel=1e-4))
    found = measured(scores, np.array([[0, 255, 255]], np.uint8))
    assert found["between"] == (0, 2)  # the smaller of two pairs that are equally frequent
    assert measured(scores, np.zeros((1, 3), np.uint8))["between"] is None


def test_missing_pixels_count_for_nothing():
    missing = np.array([[False, True, True, True]])
    found = measured(SCORES, np.array([[0, 255, 255, 255]], np.uint8), missing)
    assert (found["pixels"], found["kept"], found["uncertainty"]) == (1, 1, 0.0)
    assert measured(SCORES, np.full((1, 4), 255, np.uint8), ~missing | missing)["pixels"] == 0


def test_long_descriptions_are_shortened_and_keep_their_distances():
    random = np.random.default_rng(3)
    points = random.standard_normal((20, 2048))
    short = np.array([described(point) for point in points])
    assert short.shape == (20, FEATURES)
    before, after = (np.linalg.norm(all[:, None] - all, axis=2)[np.triu_indices(20, 1)] for all in (points, short))
    assert np.abs(after / before - 1).max() < 0.5
    assert abs((after / before).mean() - 1) < 0.1
    assert described(np.array([0.123456789, 2.0])) == (0.12346, 2.0)


def test_a_network_without_feature_maps_is_described_by_where_its_classes_are():
    scores = np.zeros((2, 8, 8), np.float32)
    scores[0, :2, :2] = 1
    scores[1, 6:, 6:] = 1
    found = layout_of(scores)
    assert found.shape == (32,)
    assert (found[0], found[31], found.sum()) == (1, 1, 2)
    assert np.isfinite(layout_of(np.zeros((2, 1, 2), np.float32))).all()


def test_damaged_signals_are_none(tmp_path: Path):
    fields = measured(SCORES, np.zeros((1, 4), np.uint8))
    signals = Signals(image="images/a.png", mask="masks/a.png", sha256=("0",), features=(1.0,), **fields)
    path = tmp_path / "a.json"
    assert read_signals(path) is None
    path.write_bytes(msgspec.json.encode(signals))
    assert read_signals(path) == signals
    path.write_bytes(path.read_bytes()[:-9])
    assert read_signals(path) is None
