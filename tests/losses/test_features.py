from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelwise.losses.features import feature_loss, normalised_features


def test_the_loss_of_a_linear_map_and_its_gradients_are_those_computed_by_hand():
    # Two pixels with two channels: a = (1, 2), b = (0, -1). The map gives a' = (1, 1 + 2 + 1), b' = (0, 0 - 1 + 1).
    student = torch.tensor([[1.0, 0.0], [2.0, -1.0]]).reshape(1, 2, 1, 2).requires_grad_()
    linear = nn.Conv2d(2, 2, 1)
    assert linear.bias is not None
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 1.0]]).reshape(2, 2, 1, 1))
        linear.bias.copy_(torch.tensor([0.0, 1.0]))
    # The teacher's pixels (3, 5), of mean 4 and deviation 1, and (2, -2), of mean 0 and deviation 2.
    teacher = torch.tensor([[3.0, 2.0], [5.0, -2.0]]).reshape(1, 2, 1, 2).requires_grad_()
    taught = normalised_features(teacher.detach(), [2])
    torch.testing.assert_close(taught.reshape(2, 2), torch.tensor([[-1.0, 1.0], [1.0, -1.0]]), rtol=0, atol=1e-5)

    loss = feature_loss(linear(student), taught, [2])
    loss.backward()

    # ((1 + 1)^2 + (4 - 1)^2 + (0 - 1)^2 + (0 + 1)^2) / 4; the derivatives by a' and b' are (1, 1.5) and (-0.5, 0.5).
    assert loss.item() == pytest.approx(3.75, abs=1e-5)
    assert linear.weight.grad is not None
    assert student.grad is not None
    close = {"rtol": 0, "atol": 1e-5}
    torch.testing.assert_close(linear.weight.grad.reshape(2, 2), torch.tensor([[1.0, 2.5], [1.5, 2.5]]), **close)
    torch.testing.assert_close(linear.bias.grad, torch.tensor([0.5, 2.0]), **close)
    torch.testing.assert_close(student.grad.reshape(2, 2), torch.tensor([[2.5, 0.0], [1.5, 0.5]]), **close)
    assert teacher.grad is None


def test_every_teacher_counts_alike_whatever_its_scale_and_number_of_channels():
    # The first teacher has one pair of channels, the second the same pair twice, a thousand times as large.
    pixel = torch.tensor([3.0, 5.0]).reshape(1, 2, 1, 1)
    taught = normalised_features(torch.cat([pixel, 1000 * pixel, 1000 * pixel], 1), [2, 4])
    torch.testing.assert_close(taught.flatten(), torch.tensor([-1.0, 1.0] * 3), rtol=0, atol=1e-5)
    mapped = taught.clone()
    mapped[:, 0] += 2  # half of the first teacher's channels: its mean is 2
    assert feature_loss(mapped, taught, [2, 4]).item() == pytest.approx(1)
    mapped = taught.clone()
    mapped[:, 2] += 2  # a quarter of the second one's: its mean is 1
    assert feature_loss(mapped, taught, [2, 4]).item() == pytest.approx(0.5)


def test_half_precision_is_compared_in_float32_and_a_flat_pixel_is_zero():
    flat = torch.full((1, 3, 1, 1), 7.0, dtype=torch.float16)
    taught = normalised_features(flat, [3])
    assert (taught.dtype, taught.abs().max().item()) == (torch.float32, 0)
    loss = feature_loss(torch.full_like(flat, 300.0), taught, [3])
    assert (loss.dtype, loss.item()) == (torch.float32, 90000)
