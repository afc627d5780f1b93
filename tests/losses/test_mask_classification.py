from __future__ import annotations

import math
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from eomt_originals import FILE, LOSS_POINTS, drawn_outputs, drawn_points
from torch import Tensor

from pixelwise.errors import RecipeError
from pixelwise.losses.mask_classification import fixed_pairs, mask_loss, targets_at
from pixelwise.losses.segmentation import Truth
from pixelwise.ranks.alone import Ranks
from pixelwise.recipes.schema.matching import Matching


def test_the_loss_is_the_original_s_at_the_same_points() -> None:
    masks, classes, labels = drawn_outputs()
    with mock.patch("torch.rand", drawn_points), np.load(FILE) as originals:
        found = mask_loss([masks, classes], Truth(labels), Matching(points=LOSS_POINTS), seed=0)
        assert found.item() == pytest.approx(originals["loss"].sum(), rel=1e-6)


def constant(logits: list[float], size: int = 2) -> Tensor:
    """Masks (1, Q, size, size), each of one value."""
    return torch.tensor(logits).view(1, -1, 1, 1).expand(-1, -1, size, size).clone()


def test_a_loss_computed_by_hand_with_fixed_assignments() -> None:
    # Every pixel has class 1 of two; three queries. The masks are constant, so points do not matter inside; the masks
    # of the image fade beyond its borders' centres, hence the labels are large.
    labels = torch.ones(1, 2000, 2000, dtype=torch.uint8)
    probability = 0.75
    masks = constant([5.0, math.log(probability / (1 - probability)), -5.0])
    classes = torch.zeros(1, 3, 3)
    classes[0, 1] = torch.tensor([0.0, math.log(2), 0.0])

    points = 16
    with mock.patch("torch.rand", lambda *shape, **_: torch.full(shape, 0.5)):
        found = mask_loss([masks, classes], Truth(labels), Matching(points=points, assignment="fixed"), seed=1)

    entropy = -math.log(probability)
    dice = 1 - (2 * points * probability + 1) / (points * probability + points + 1)
    # Query 1 has class 1 with probability 1/2; the others are "no object", with 1/3 and a weight of 0.1.
    kinds = (math.log(2) + 0.1 * 2 * math.log(3)) / 1.2
    assert found.item() == pytest.approx(5 * entropy + 5 * dice + 2 * kinds, rel=1e-5)


def test_layers_are_added_and_classes_that_do_not_occur_have_no_mask() -> None:
    labels = torch.zeros(1, 500, 500, dtype=torch.uint8)
    masks, classes = constant([1.0, 1.0]), torch.zeros(1, 2, 3)
    options = Matching(points=8, assignment="fixed")
    with mock.patch("torch.rand", lambda *shape, **_: torch.full(shape, 0.5)):
        one = mask_loss([masks, classes], Truth(labels), options, seed=1)
        two = mask_loss([masks, classes] * 2, Truth(labels), options, seed=1)
        other = mask_loss([constant([1.0, -9.0]), classes], Truth(labels), options, seed=1)

    assert two.item() == pytest.approx(2 * one.item())
    assert other.item() == pytest.approx(one.item())


@pytest.mark.parametrize("assignment", ["fixed", "hungarian"])
def test_images_without_labels_have_only_the_loss_of_no_object(assignment: str) -> None:
    labels = torch.full((2, 8, 8), 255, dtype=torch.uint8)
    masks, classes = torch.randn(2, 3, 4, 4, requires_grad=True), torch.zeros(2, 3, 3, requires_grad=True)

    found = mask_loss([masks, classes], Truth(labels), Matching(points=8, assignment=assignment), seed=0)  # type: ignore[arg-type]
    found.backward()

    assert found.item() == pytest.approx(2 * math.log(3))
    assert masks.grad is not None
    assert not masks.grad.any()


def test_masks_go_to_the_queries_that_resemble_them() -> None:
    labels = torch.zeros(1, 40, 40, dtype=torch.uint8)
    labels[:, :, 20:] = 1
    left = (labels == 0).float() * 10 - 5
    masks = torch.cat([torch.full_like(left, -5.0), -left, left])[None]  # of nothing, of class 1, of class 0
    classes = torch.zeros(1, 3, 3)

    def loss(order: list[int], **options: Any) -> float:
        return mask_loss([masks[:, order], classes], Truth(labels), Matching(points=64, **options), seed=0).item()

    right = loss([2, 1, 0], assignment="fixed")  # query 0 has class 0, query 1 class 1
    assert loss([0, 1, 2]) == pytest.approx(right, rel=0.1)
    assert loss([1, 2, 0]) == pytest.approx(right, rel=0.1)
    assert loss([1, 2, 0], assignment="fixed") > 2 * right


def test_the_same_seed_draws_the_same_points_and_another_one_others() -> None:
    torch.manual_seed(0)
    outputs = [torch.randn(1, 4, 8, 8), torch.randn(1, 4, 4)] * 2
    labels = Truth(torch.randint(0, 3, (1, 16, 16)))

    def loss(seed: int) -> float:
        torch.rand(seed + 1)  # the global generator does not matter
        return mask_loss(outputs, labels, Matching(points=16), seed=seed).item()

    assert loss(3) == loss(3)
    assert loss(3) != loss(4)


def test_targets_are_a_bilinear_interpolation_also_beyond_the_border() -> None:
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (2, 5, 7))
    points = torch.rand(4, 50, 2, dtype=torch.float64)
    points[0, :4] = torch.tensor([[0, 0], [1, 1], [0.999, 0.001], [0.5, 0.0]])
    images, ids = torch.tensor([0, 1, 1, 0]), torch.tensor([0, 0, 1, 2])

    found = targets_at(points, labels, images, ids, torch.float64)

    one_hot = (labels[images] == ids[:, None, None]).double()
    expected = F.grid_sample(one_hot[:, None], 2 * points[:, None] - 1, align_corners=False)[:, 0, 0]
    assert torch.allclose(found, expected, atol=1e-12)


def test_two_processes_compute_the_loss_of_the_whole_batch() -> None:
    class Other(Ranks):
        """A process whose partner has the same images."""

        def sum(self, value: Tensor) -> Tensor:
            return value + value.detach()

    torch.manual_seed(0)
    masks, classes = torch.randn(1, 4, 8, 8, requires_grad=True), torch.randn(1, 4, 4, requires_grad=True)
    truth, options = Truth(torch.randint(0, 3, (1, 16, 16))), Matching(points=32)

    alone = mask_loss([masks, classes], truth, options, seed=0)
    alone.backward()
    of_one = [one.grad.clone() for one in (masks, classes) if one.grad is not None]
    masks.grad = classes.grad = None
    together = mask_loss([masks, classes], truth, options, seed=0, ranks=Other())
    together.backward()

    assert together.item() == pytest.approx(alone.item(), rel=1e-6)
    for whole, own in zip(of_one, (masks.grad, classes.grad), strict=True):
        assert own is not None
        assert torch.allclose(2 * own, whole, atol=1e-7)  # the sum of both processes' gradients


def test_more_masks_than_queries_leave_some_out() -> None:
    labels = torch.arange(4).repeat(1, 4, 1)
    masks, classes = torch.randn(1, 2, 4, 4), torch.randn(1, 2, 5)
    assert mask_loss([masks, classes], Truth(labels), Matching(points=8), seed=0).isfinite()
    with pytest.raises(RecipeError, match="a query for each of the 4 classes") as caught:
        fixed_pairs(labels, masks, classes)
    assert caught.value.code == "R203"


def test_without_scipy_there_is_a_way_out() -> None:
    outputs, labels = [torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 3)], torch.zeros(1, 8, 8, dtype=torch.uint8)
    with mock.patch.dict("sys.modules", {"scipy.optimize": None}):
        assert mask_loss(outputs, Truth(labels), Matching(points=4, assignment="fixed"), seed=0).isfinite()
        with pytest.raises(RecipeError, match=r"pip install scipy, or set loss\.matching\.assignment=fixed") as caught:
            mask_loss(outputs, Truth(labels), Matching(points=4), seed=0)
    assert caught.value.code == "R240"
