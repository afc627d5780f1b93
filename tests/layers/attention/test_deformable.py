from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pixelwise.layers.attention.deformable import DeformableAttention

SIZES = ((2, 3), (4, 6))


def identity(attention: DeformableAttention) -> DeformableAttention:
    """Values and results are the features themselves; points lie at the position itself."""
    for layer in (attention.value, attention.proj):
        torch.nn.init.eye_(layer.weight)
    torch.nn.init.zeros_(attention.offsets.bias)
    return attention.double()


def both_maps() -> Tensor:
    """(1, 30, 2): 0 to 5 in the first map, 10 times the column in the second one; a second channel has the double."""
    coarse = torch.arange(6.0)
    fine = 10 * torch.arange(6.0).repeat(4)
    one = torch.cat([coarse, fine]).double()
    return torch.stack([one, 2 * one], dim=1)[None]


def test_a_position_sees_the_average_of_the_maps_at_its_own_place() -> None:
    attention = identity(DeformableAttention(2, 1, 2, 3))
    features = both_maps()

    found = attention(torch.zeros_like(features), features, SIZES)

    # Position 4 of the coarse map (row 1, column 1) lies between columns 2 and 3 of the fine one.
    assert found[0, 4].tolist() == pytest.approx([(4 + 25) / 2, 4 + 25])
    # Column 2, row 1 of the fine map lies a quarter of a pixel left of and above the centre of pixel (0.75, 0.25).
    coarse = 0.25 * 3 + 0.75
    assert found[0, 6 + 6 + 2].tolist() == pytest.approx([(coarse + 20) / 2, coarse + 20])


def test_points_move_by_pixels_of_the_map_that_they_lie_in_and_see_zeros_outside() -> None:
    attention = identity(DeformableAttention(2, 1, 2, 1))
    with torch.no_grad():
        attention.offsets.bias.copy_(torch.tensor([1.0, 0.0, -2.0, 0.0]))  # one pixel right, two pixels left
        attention.weights.bias.copy_(torch.tensor([0.0, 1.0]))
    features = both_maps()

    found = attention(torch.zeros_like(features), features, SIZES)

    share = torch.tensor([0.0, 1.0]).double().softmax(0)
    assert found[0, 4, 0].item() == pytest.approx((share[0] * 5 + share[1] * 5).item())  # columns 0 and 1: 5 on average
    assert found[0, 5, 0].item() == pytest.approx((share[1] * 25).item())


def test_heads_see_parts_of_the_channels() -> None:
    attention = identity(DeformableAttention(2, 2, 2, 1))
    with torch.no_grad():
        attention.weights.bias.copy_(torch.tensor([0.0, -1e9, -1e9, 0.0]))  # one sees the coarse map, one the fine one
    features = both_maps()

    found = attention(torch.zeros_like(features), features, SIZES)

    assert found[0, 4].tolist() == pytest.approx([4, 50])


def test_at_first_every_head_looks_into_a_direction_of_its_own() -> None:
    attention = DeformableAttention(8, 4, 2, 3)
    apart = attention.offsets.bias.detach().reshape(4, 2, 3, 2)
    directions = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    assert torch.allclose(apart[:, 1, 0], directions, atol=1e-6)
    assert torch.allclose(apart[:, 0, 2], 3 * directions, atol=1e-6)
    assert attention.offsets.weight.abs().max() < 1e-3
    assert attention.weights.weight.abs().max() < 1e-3


def test_maps_in_bfloat16_are_sampled_at_exact_places() -> None:
    torch.manual_seed(0)
    attention = DeformableAttention(8, 2, 1, 2)
    features, sizes = torch.randn(1, 40 * 40, 8), ((40, 40),)

    expected = attention(features, features, sizes)
    found = attention.bfloat16()(features.bfloat16(), features.bfloat16(), sizes)

    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).abs().max() < 0.03 * expected.abs().max()
