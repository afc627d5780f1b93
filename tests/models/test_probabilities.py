from __future__ import annotations

import pytest
import torch

from pixelwise.models.probabilities import probabilities, semantic_scores

OUTPUTS = torch.tensor([[0.0, 0.2], [1.0, 0.6]])  # classes in rows


def test_logits_become_a_softmax_or_a_sigmoid_of_each_class() -> None:
    assert probabilities(OUTPUTS, "logits")[1, 0].item() == pytest.approx(2.718281828 / 3.718281828)
    assert probabilities(OUTPUTS.T, "logits", dim=1)[0, 1].item() == pytest.approx(2.718281828 / 3.718281828)
    assert probabilities(OUTPUTS, "logits", multilabel=True)[0, 0].item() == 0.5


def test_other_scores_are_divided_by_their_sum_and_nothing_stays_nothing() -> None:
    assert torch.allclose(probabilities(OUTPUTS, "probabilities"), torch.tensor([[0, 0.25], [1, 0.75]]))
    assert probabilities(torch.zeros(3, 1), "probabilities").tolist() == [[0], [0], [0]]


def test_scores_are_masks_times_classes_summed_over_queries() -> None:
    # Two queries: one sure of class 0 with a mask of 1/2, one torn between class 1 and no object with a mask of 1.
    classes = torch.tensor([[[30.0, 0.0, 0.0], [-30.0, 0.0, 0.0]]])
    masks = torch.tensor([0.0, 30.0]).reshape(1, 2, 1, 1)

    assert semantic_scores(masks, classes).flatten().tolist() == pytest.approx([0.5, 0.5])
