from __future__ import annotations

import numpy as np
import pytest
import torch

from pixelwise.metrics import ScoredImage, Task
from pixelwise.recipes.class_sets.tables import IGNORE_BIT

TASK = Task(classes=("a", "b"))
LABELS = np.array([[0, 0, 1, 255]], np.uint8)
PREDICTION = torch.tensor([[0, 1, 1, 1]], dtype=torch.uint8)


def test_counts_and_their_sums_leave_out_ignored_pixels():
    image = ScoredImage("x", LABELS, PREDICTION, TASK, index=3)
    assert image.counts.tolist() == [[1, 1], [0, 1]]
    assert image.totals.labelled.tolist() == [2, 1]
    assert image.totals.predicted.tolist() == [1, 2]
    assert (image.id, image.index) == ("x", 3)
    assert image.prediction.tolist() == [[0, 1, 1, 1]]


def test_multi_label_counts_are_four_per_class():
    task = Task(classes=("a", "b"), multilabel=True)
    labels = np.array([[0, 1, 3, IGNORE_BIT]], np.int32)
    image = ScoredImage("x", labels, torch.tensor([[0, 3, 1, 3]], dtype=torch.int32), task)
    assert image.counts.tolist() == [[2, 0, 0, 1], [0, 1, 1, 1]]
    assert image.totals.decisions == 6


def test_what_metrics_share_is_computed_once():
    image = ScoredImage("x", LABELS, PREDICTION, TASK)
    assert image.counts is image.counts
    assert image.totals is image.totals
    assert image.prediction is image.prediction


def test_inputs_that_were_not_declared_are_refused():
    sure = torch.full((1, 4), 0.5)
    bare = ScoredImage("x", LABELS, PREDICTION, TASK)
    full = ScoredImage("x", LABELS, PREDICTION, TASK, confidence=sure, probabilities=lambda: iter([(0, sure[None])]))
    assert full.confidence.tolist() == [[0.5] * 4]
    assert [first for first, _ in full.probabilities()] == [0]
    assert [first for first, _ in full.probabilities()] == [0]
    with pytest.raises(ValueError, match="needs='confidence'"):
        bare.confidence  # noqa: B018
    with pytest.raises(ValueError, match="needs='probabilities'"):
        bare.probabilities()


def test_a_prediction_outside_of_the_classes_is_an_error_and_no_count():
    with pytest.raises(ValueError, match=r"expected 0\.\.1"):
        ScoredImage("x", LABELS, PREDICTION + 1, TASK).counts  # noqa: B018
