import math

import pytest
import torch

from pixelwise.losses.boundary_aware import boundary_aware_term, labels_at_boundaries
from pixelwise.losses.segmentation import segmentation_loss
from pixelwise.losses.term import SingleLabel
from pixelwise.recipes.loss_terms.boundary_aware import BoundaryAware
from pixelwise.recipes.schema.loss import Loss, Ohem

LABELS = torch.tensor([[[0, 1, 1, 255]]], dtype=torch.uint8)
# Scores 0.9, 0.5, 0.9 and 0.9.
BOUNDARIES = torch.tensor([[[[math.log(9), 0.0, math.log(9), math.log(9)]]]])
# Probabilities of class 1: 1/2, 1/2, 3/4, 1/2.
LOGITS = torch.tensor([[[[0.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, math.log(3), 0.0]]]])


def test_only_pixels_with_a_sure_boundary_keep_their_label():
    assert labels_at_boundaries(BOUNDARIES[:, 0], LABELS, 0.8).tolist() == [[[0, 255, 1, 255]]]
    assert labels_at_boundaries(BOUNDARIES[:, 0], LABELS, 0.95).tolist() == [[[255] * 4]]


def test_a_broken_boundary_keeps_its_pixel():
    assert labels_at_boundaries(torch.full((1, 1, 4), math.nan), LABELS, 0.8).tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("ohem", "expected"),
    [(None, (math.log(2) + math.log(4 / 3)) / 2), (Ohem(threshold=0.6, min_kept=1), math.log(2))],
)
def test_its_mean_over_these_pixels_by_hand(ohem: Ohem | None, expected: float):
    found = boundary_aware_term(SingleLabel(LOGITS, LABELS, boundaries=BOUNDARIES), BoundaryAware(ohem=ohem))
    assert found.item() == pytest.approx(expected)


def test_no_gradient_reaches_the_boundary_head():
    logits, boundaries = LOGITS.clone().requires_grad_(), BOUNDARIES.clone().requires_grad_()
    loss = Loss(cross_entropy=0, terms={"boundary_aware": BoundaryAware()})
    segmentation_loss((logits, boundaries), LABELS, loss, boundary_head=True).backward()
    assert logits.grad is not None
    assert logits.grad.any()
    assert boundaries.grad is None


def test_without_a_boundary_head_there_is_nothing_to_compute():
    with pytest.raises(ValueError, match="no boundary head"):
        segmentation_loss((LOGITS,), LABELS, Loss(terms={"boundary_aware": BoundaryAware()}))
