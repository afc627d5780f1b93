import math

import cv2
import numpy as np
import pytest
import torch

from pixelwise.losses.boundary_head import balanced_boundary_loss, boundary_targets


def row(*ids: int) -> torch.Tensor:
    return torch.tensor([[list(ids)]], dtype=torch.uint8)


def test_straight_edges_are_the_dilated_canny_edges_of_the_original():
    labels = np.zeros((24, 30), np.uint8)
    labels[6:16, 8:20] = 3
    edges = cv2.dilate(cv2.Canny(labels, 0.1, 0.2), np.ones((4, 4), np.uint8)) > 50
    near, known = boundary_targets(torch.from_numpy(labels)[None], 2)
    assert bool(known.all())
    # They differ by single pixels, all within two pixels of a corner of the square.
    for row, column in np.argwhere(edges != near[0].numpy()):
        assert min(abs(row - 6), abs(row - 15)) <= 2
        assert min(abs(column - 8), abs(column - 19)) <= 2
    assert np.array_equal(edges[10], near[0, 10].numpy())
    assert np.array_equal(edges[:, 14], near[0, :, 14].numpy())


def test_what_an_ignored_region_hides_is_unknown():
    near, known = boundary_targets(row(0, 0, 0, 255, 255, 255, 0, 0, 1, 1), 2)
    assert near.flatten().tolist() == [False] * 6 + [True] * 4
    # Left of the region nobody knows what follows; right of it the other class is near whatever it hides.
    assert known.flatten().tolist() == [True] + [False] * 5 + [True] * 4


def test_both_kinds_weigh_the_same_by_hand():
    # Of five known pixels two are near the boundary; the sixth is ignored, and hides what its neighbour sees.
    labels = row(0, 0, 0, 1, 1, 1, 255)
    logits = torch.tensor([[[0.0, 0.0, math.log(3), 0.0, math.log(3), 9.0, 9.0]]])
    found = balanced_boundary_loss(logits, labels, width=1)
    near = math.log(4 / 3) + math.log(2)
    far = math.log(2) + math.log(2) + math.log(4)
    assert found.item() == pytest.approx((3 / 5 * near + 2 / 5 * far) / 5)


@pytest.mark.parametrize("labels", [row(1, 1, 1), row(0, 1, 0), row(255, 255, 255)])
def test_with_one_kind_of_pixels_it_costs_nothing_and_moves_nothing(labels: torch.Tensor):
    logits = torch.randn(1, 1, 3, requires_grad=True)
    loss = balanced_boundary_loss(logits, labels)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_no_logit_is_too_large():
    logits = torch.tensor([[[1e30, -1e30, 1e30, -1e30]]])
    assert balanced_boundary_loss(logits, row(0, 0, 1, 1), width=1).isfinite()
