from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.layers.repeated import can_convolve_repeated, convolve_repeated


def plainly(features: Tensor, weight: Tensor, size: tuple[int, int]) -> Tensor:
    return F.conv2d(F.interpolate(features, size=size, mode="nearest"), weight, padding=1)


def test_four_values_by_hand() -> None:
    features = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    weight = torch.zeros(1, 1, 3, 3)
    weight[0, 0, 1] = torch.tensor([0.0, 1.0, 10.0])  # the value itself, and ten times its right neighbour

    result = convolve_repeated(features, weight, (4, 4))

    assert result[0, 0].tolist() == [[11, 21, 22, 2], [11, 21, 22, 2], [33, 43, 44, 4], [33, 43, 44, 4]]


@pytest.mark.parametrize("size", [(8, 10), (7, 10), (8, 9), (7, 9), (4, 4), (3, 3)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_the_enlarged_map(size: tuple[int, int], layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    small = (-(-size[0] // 2), -(-size[1] // 2))
    features = torch.randn(2, 3, *small, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    weight = torch.randn(5, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    given = torch.randn(2, 5, *size, dtype=torch.float64)

    found, expected = convolve_repeated(features, weight, size), plainly(features, weight, size)

    assert found.is_contiguous(memory_format=layout)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(result, (features, weight), given) for result in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_only_twice_the_size_or_one_less_is_repeated() -> None:
    assert can_convolve_repeated((4, 5), (8, 9))
    assert not can_convolve_repeated((4, 5), (8, 8))
    assert not can_convolve_repeated((4, 5), (4, 5))
    assert not can_convolve_repeated((1, 5), (2, 10))  # a single row has no neighbour to take an edge from
