import math

import pytest
import torch
import torch.nn.functional as F

from pixelwise.losses.cross_entropy import cross_entropy


def one_row(*ids: int) -> torch.Tensor:
    return torch.tensor([[list(ids)]], dtype=torch.uint8)


def test_equal_logits_cost_the_logarithm_of_the_class_count():
    assert cross_entropy(torch.zeros(1, 4, 1, 2), one_row(0, 3)).item() == pytest.approx(math.log(4))


def test_class_weights_average_by_hand():
    logits = torch.zeros(1, 2, 1, 2)
    logits[0, :, 0, 0] = torch.tensor([0.0, math.log(3)])  # p = (1/4, 3/4)
    weights = torch.tensor([1.0, 3.0])
    # Pixel 0 is class 0: -ln(1/4), weight 1. Pixel 1 is class 1: -ln(1/2), weight 3.
    expected = (math.log(4) + 3 * math.log(2)) / 4
    assert cross_entropy(logits, one_row(0, 1), class_weights=weights).item() == pytest.approx(expected)


def test_ignored_pixels_do_not_change_the_loss():
    torch.manual_seed(0)
    logits = torch.randn(1, 3, 1, 3)
    assert cross_entropy(logits, one_row(0, 2, 255)) == cross_entropy(logits[..., :2], one_row(0, 2))


def test_B6_a_batch_without_labels_costs_nothing_and_moves_nothing():
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = cross_entropy(logits, torch.full((2, 4, 4), 255, dtype=torch.uint8), class_weights=torch.ones(3))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize(("smoothing", "weighted"), [(0.0, True), (0.1, False), (0.0, False)])
def test_it_equals_pytorch_where_something_is_labelled(smoothing: float, weighted: bool):
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 5, 8, 8), torch.randint(0, 5, (2, 8, 8))
    labels[0, :3] = 255
    weights = torch.rand(5) if weighted else None
    theirs = F.cross_entropy(logits, labels, weights, ignore_index=255, label_smoothing=smoothing)
    ours = cross_entropy(logits, labels, class_weights=weights, label_smoothing=smoothing)
    torch.testing.assert_close(ours, theirs)


def test_a_smoothed_pixel_has_the_weight_of_its_own_class():
    logits = torch.zeros(1, 2, 1, 2)
    logits[0, :, 0, 0] = torch.tensor([0.0, math.log(3)])  # p = (1/4, 3/4)
    # Pixel 0 is class 0: 0.9 ln 4 + 0.1 / 2 (ln 4 + ln 4/3), weight 1. Pixel 1 is class 1: ln 2, weight 3.
    expected = (0.9 * math.log(4) + 0.05 * (math.log(4) + math.log(4 / 3)) + 3 * math.log(2)) / 4
    weights = torch.tensor([1.0, 3.0])
    found = cross_entropy(logits, one_row(0, 1), class_weights=weights, label_smoothing=0.1)
    assert found.item() == pytest.approx(expected)


def test_the_mean_over_all_pixels_counts_ignored_ones_and_no_weights():
    logits = torch.zeros(1, 2, 1, 4)  # every labelled pixel costs ln 2
    labels = one_row(0, 1, 1, 255)
    assert cross_entropy(logits, labels, normalize="all").item() == pytest.approx(3 / 4 * math.log(2))
    weights = torch.tensor([1.0, 5.0])
    found = cross_entropy(logits, labels, class_weights=weights, normalize="all").item()
    assert found == pytest.approx((1 + 5 + 5) / 4 * math.log(2))


def test_without_ignored_pixels_both_means_are_one():
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    torch.testing.assert_close(cross_entropy(logits, labels, normalize="all"), cross_entropy(logits, labels))


def test_bfloat16_logits_are_computed_in_float32():
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3, 4, 4).bfloat16(), torch.randint(0, 3, (2, 4, 4))
    assert cross_entropy(logits, labels).dtype == torch.float32
    assert torch.equal(cross_entropy(logits, labels), cross_entropy(logits.float(), labels))
