from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pixelwise.deployment.int8.sensitivity import LayerCost, Range, evenly_spaced, rounded, rounded_weights


def test_items_are_spread_over_all_and_the_first_is_among_them() -> None:
    assert evenly_spaced(range(10), 4) == [0, 2, 5, 7]
    assert evenly_spaced("ab", 4) == ["a", "b"]
    assert evenly_spaced([], 3) == []


def test_weights_are_rounded_with_a_scale_per_output_channel() -> None:
    weight = torch.tensor([[127.0, 0.4], [254.0, 3.0]]).reshape(2, 2, 1, 1)
    assert rounded_weights(weight, 0).flatten().tolist() == [127.0, 0.0, 254.0, 4.0]
    # With a scale per input channel: 254 / 127 = 2 and 3 / 127.
    by_input = rounded_weights(weight, 1).flatten().tolist()
    assert by_input == pytest.approx([128.0, round(0.4 * 127 / 3) * 3 / 127, 254.0, 3.0])


def test_a_layer_computes_in_int8_until_the_block_ends() -> None:
    layer = nn.Conv2d(1, 1, 1, bias=False)
    layer.weight.data.fill_(1.0)
    images = torch.tensor([0.0, 0.9, 1.1, 254.6, 300.0]).reshape(1, 1, 1, 5)
    with rounded(layer, Range(0.0, 255.0)):
        assert layer(images).flatten().tolist() == [0.0, 1.0, 1.0, 255.0, 255.0]
    assert torch.equal(layer(images), images)


def test_the_zero_of_a_range_on_both_sides_is_exact() -> None:
    layer = nn.Conv2d(1, 1, 1, bias=False)
    layer.weight.data.fill_(1.0)
    images = torch.tensor([-200.0, -1.0, 0.0, 127.0, 400.0]).reshape(1, 1, 1, 5)
    with rounded(layer, Range(-100.0, 155.0)):
        assert layer(images).flatten().tolist() == [-100.0, -1.0, 0.0, 127.0, 155.0]


def test_weights_come_back_after_an_error() -> None:
    layer = nn.Conv2d(1, 1, 1)
    before = layer.weight.detach().clone()
    with pytest.raises(RuntimeError), rounded(layer, Range(0.0, 1.0)):
        raise RuntimeError
    assert torch.equal(layer.weight, before)


def test_costs_are_ranked_by_miou_and_then_by_pixels() -> None:
    costs = [
        LayerCost(name="a", unequal_pixels=0.9, miou_drop=0.01),
        LayerCost(name="b", unequal_pixels=0.1, miou_drop=0.02),
        LayerCost(name="c", unequal_pixels=0.2, miou_drop=0.02),
        LayerCost(name="d", unequal_pixels=0.5),
    ]
    assert [cost.name for cost in sorted(costs, key=lambda cost: cost.rank, reverse=True)] == ["c", "b", "a", "d"]
    assert np.isclose(costs[3].rank[0], 0)
