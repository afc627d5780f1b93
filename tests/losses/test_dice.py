import math

import pytest
import torch

from pixelwise.losses.dice import soft_dice


def test_a_certain_right_answer_costs_nothing():
    labels = torch.tensor([[[0, 1]]])
    logits = torch.tensor([[[[50.0, -50.0]], [[-50.0, 50.0]]]])
    assert soft_dice(logits, labels).item() == pytest.approx(0, abs=1e-5)


def test_two_pixels_by_hand():
    # p(class 0) = 3/4 and 1/2 on two pixels of class 0: dice = 2 * 1.25 / (1.25 + 2), class 1 is absent.
    logits = torch.zeros(1, 2, 1, 2)
    logits[0, 0, 0, 0] = math.log(3)
    assert soft_dice(logits, torch.zeros(1, 1, 2, dtype=torch.uint8)).item() == pytest.approx(1 - 2.5 / 3.25, abs=1e-5)


def test_ignored_pixels_do_not_change_the_loss():
    torch.manual_seed(0)
    logits = torch.randn(1, 3, 1, 3)
    labels = torch.tensor([[[0, 2, 255]]], dtype=torch.uint8)
    torch.testing.assert_close(soft_dice(logits, labels), soft_dice(logits[..., :2], labels[..., :2]))


def test_nothing_labelled_costs_nothing_and_moves_nothing():
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = soft_dice(logits, torch.full((1, 2, 2), 255, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert torch.equal(logits.grad, torch.zeros_like(logits))
