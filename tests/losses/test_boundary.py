import math

import pytest
import torch

from pixelwise.losses.boundary import boundary_cross_entropy, boundary_labels


def near(labels: torch.Tensor, width: int) -> list[bool]:
    return (boundary_labels(labels, width) != 255).flatten().tolist()


def row(*ids: int) -> torch.Tensor:
    return torch.tensor([[list(ids)]], dtype=torch.uint8)


def test_width_counts_pixels_on_both_sides():
    labels = row(0, 0, 0, 1, 1, 1)
    assert near(labels, 1) == [False, False, True, True, False, False]
    assert near(labels, 2) == [False, True, True, True, True, False]
    assert near(labels, 100) == [True] * 6


def test_diagonal_neighbours_are_near():
    labels = torch.zeros(1, 3, 3, dtype=torch.uint8)
    labels[0, 0, 0] = 7
    assert near(labels, 1) == [True, True, False, True, True, False, False, False, False]


def test_the_border_of_an_ignored_region_is_no_boundary():
    assert near(row(0, 0, 255, 0, 0), 1) == [False] * 5
    # But a class behind it that is near enough is one.
    assert near(row(0, 0, 255, 1, 1), 2) == [False, True, False, True, False]


def test_kept_labels_are_the_labels():
    labels = row(3, 3, 18, 18)
    assert boundary_labels(labels, 1).tolist() == [[[255, 3, 18, 255]]]
    assert boundary_labels(labels.long(), 1).dtype == torch.int64


def test_images_of_a_batch_do_not_touch():
    labels = torch.cat([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)]).to(torch.uint8)
    assert near(labels, 1) == [False] * 8


def test_two_of_four_pixels_by_hand():
    logits = torch.zeros(1, 2, 1, 4)
    logits[0, 0, 0, 0] = 100.0  # far from the boundary, however wrong or right
    logits[0, 0, 0, 1] = math.log(3)
    found = boundary_cross_entropy(logits, row(0, 0, 1, 1), width=1)
    assert found.item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


def test_without_a_boundary_it_costs_nothing_and_moves_nothing():
    logits = torch.randn(1, 2, 3, 3, requires_grad=True)
    loss = boundary_cross_entropy(logits, torch.ones(1, 3, 3, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()
