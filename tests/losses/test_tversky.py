import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.losses.dice import soft_dice
from pixelwise.losses.tversky import tversky


def test_two_pixels_by_hand():
    # p(class 0) = 3/4 on a pixel of class 0 and 1/2 on one of class 1.
    logits = torch.zeros(1, 2, 1, 2)
    logits[0, 0, 0, 0] = math.log(3)
    labels = torch.tensor([[[0, 1]]])
    # Class 0: TP 3/4, FP 1/2, FN 1/4. Class 1: TP 1/2, FP 1/4, FN 1/2.
    zero = 0.75 / (0.75 + 0.3 * 0.5 + 0.7 * 0.25)
    one = 0.5 / (0.5 + 0.3 * 0.25 + 0.7 * 0.5)
    found = tversky(logits, labels, alpha=0.3, beta=0.7)
    assert found.item() == pytest.approx(1 - (zero + one) / 2, abs=1e-5)


def test_a_class_without_labels_does_not_count():
    # Class 1 is predicted with 1/2 but never labelled: it counts as class 0's misses only.
    logits = torch.zeros(1, 2, 1, 2)
    found = tversky(logits, torch.zeros(1, 1, 2, dtype=torch.uint8), alpha=0.3, beta=0.7)
    assert found.item() == pytest.approx(1 - 1 / (1 + 0.7), abs=1e-5)


def test_with_one_half_each_it_is_the_dice_loss():
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 4, 5, 5), torch.randint(0, 4, (2, 5, 5))
    labels[0, 0] = 255
    torch.testing.assert_close(tversky(logits, labels, alpha=0.5, beta=0.5), soft_dice(logits, labels))


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0, 1, 2, 255])), min_size=1, max_size=30))
def test_with_one_each_it_is_1_minus_the_iou_of_certain_predictions(pixels: list[tuple[int, int]]):
    predicted = torch.tensor([[[guess for guess, _ in pixels]]])
    labels = torch.tensor([[[label for _, label in pixels]]])
    logits = 200 * torch.nn.functional.one_hot(predicted, 3).permute(0, 3, 1, 2).double()
    valid = labels != 255
    losses = []
    for k in range(3):
        mine, theirs = (predicted == k) & valid, labels == k
        if theirs.any():
            losses.append(1 - int((mine & theirs).sum()) / int((mine | theirs).sum()))
    expected = sum(losses) / len(losses) if losses else 0
    assert tversky(logits, labels, alpha=1.0, beta=1.0).item() == pytest.approx(expected, abs=1e-5)
