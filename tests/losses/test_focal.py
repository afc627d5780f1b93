import math

import pytest
import torch

from pixelwise.losses.cross_entropy import cross_entropy
from pixelwise.losses.focal import focal


def two_pixels() -> tuple[torch.Tensor, torch.Tensor]:
    """Pixel 0 of class 0 with p = 3/4, pixel 1 of class 1 with p = 1/2, and an ignored one."""
    logits = torch.zeros(1, 2, 1, 3)
    logits[0, 0, 0, 0] = math.log(3)
    return logits, torch.tensor([[[0, 1, 255]]], dtype=torch.uint8)


def test_two_pixels_by_hand():
    logits, labels = two_pixels()
    expected = (0.25**2 * math.log(4 / 3) + 0.5**2 * math.log(2)) / 2
    assert focal(logits, labels, gamma=2.0).item() == pytest.approx(expected)
    assert focal(logits, labels, gamma=2.0, normalize="all").item() == pytest.approx(expected * 2 / 3)


def test_alpha_are_the_class_weights():
    logits, labels = two_pixels()
    expected = (1 * 0.25 * math.log(4 / 3) + 3 * 0.5 * math.log(2)) / 4
    assert focal(logits, labels, gamma=1.0, class_weights=torch.tensor([1.0, 3.0])).item() == pytest.approx(expected)


@pytest.mark.parametrize("normalize", ["valid", "all"])
def test_with_gamma_0_it_is_the_cross_entropy(normalize):
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 4, 5, 5), torch.randint(0, 4, (2, 5, 5))
    labels[0, 0] = 255
    weights = torch.rand(4)
    expected = cross_entropy(logits, labels, class_weights=weights, normalize=normalize)
    torch.testing.assert_close(focal(logits, labels, gamma=0.0, class_weights=weights, normalize=normalize), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_certain_pixels_have_finite_gradients(gamma: float):
    logits = torch.tensor([[[[1000.0, -1000.0]], [[-1000.0, 1000.0]]]], requires_grad=True)
    loss = focal(logits, torch.zeros(1, 1, 2, dtype=torch.uint8), gamma=gamma)
    loss.backward()
    assert loss.item() == pytest.approx(1000)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
