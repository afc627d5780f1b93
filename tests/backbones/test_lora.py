"""Low-rank adapted layers against arithmetic by hand and against ordinary layers."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelwise.backbones.lora import (
    LowRankAdapted,
    adapted_layers,
    exchange,
    is_adaptable,
    merged_state,
    without_adapters,
)


def by_hand() -> LowRankAdapted:
    """W = [[1, 2], [3, 4]], bias [10, 20], A = [[1, -1]], B = [[2], [3]], scale 0.5."""
    layer = nn.Linear(2, 2)
    layer.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    layer.bias.data = torch.tensor([10.0, 20.0])
    adapted = LowRankAdapted(layer, rank=1, scale=0.5)
    adapted.lora_a.data = torch.tensor([[1.0, -1.0]])
    adapted.lora_b.data = torch.tensor([[2.0], [3.0]])
    return adapted


def random_layer(original: nn.Linear | nn.Conv2d, rank: int = 2) -> LowRankAdapted:
    adapted = LowRankAdapted(original, rank, scale=0.7)
    nn.init.normal_(adapted.lora_b)
    return adapted


def test_two_by_two_of_rank_one_by_hand():
    adapted = by_hand()
    # 0.5 * B A = 0.5 * [[2, -2], [3, -3]]
    assert adapted.weight.tolist() == [[2.0, 1.0], [4.5, 2.5]]
    # x = [4, 1]: W x + b = [16, 36], A x = 3, 0.5 * B * 3 = [3, 4.5]
    x = torch.tensor([[4.0, 1.0]])
    assert adapted(x).tolist() == adapted.eval()(x).tolist() == [[19.0, 40.5]]
    adapted.train()(x).sum().backward()
    # dB = 0.5 * A x for each output, dA = 0.5 * (2 + 3) * x
    assert adapted.lora_b.grad is not None
    assert adapted.lora_b.grad.tolist() == [[1.5], [1.5]]
    assert adapted.lora_a.grad is not None
    assert adapted.lora_a.grad.tolist() == [[10.0, 2.5]]


@pytest.mark.parametrize(
    ("original", "shape"),
    [
        (nn.Linear(5, 7, bias=False), (3, 11, 5)),
        (nn.Conv2d(5, 7, 1), (3, 5, 6, 4)),
        (nn.Conv2d(5, 7, 1, stride=2, bias=False), (3, 5, 7, 5)),
    ],
)
def test_merged_and_apart_compute_the_same(original: nn.Linear | nn.Conv2d, shape: tuple[int, ...]):
    torch.manual_seed(0)
    adapted, images = random_layer(original), torch.randn(shape)
    plain = copy.deepcopy(original)
    before = plain(images)
    assert torch.equal(LowRankAdapted(original, 2, 0.7)(images), before)  # B is 0
    plain.weight.data = adapted.weight.detach()
    apart, merged = adapted(images), plain(images)
    assert not torch.allclose(apart, before, rtol=0.1)
    assert float((apart - merged).detach().norm() / merged.detach().norm()) < 1e-6
    assert torch.equal(adapted.eval()(images), merged)


def test_a_begins_uniform_within_the_bound_of_the_paper_s_code():
    torch.manual_seed(0)
    adapted = LowRankAdapted(nn.Linear(400, 10), rank=8, scale=1)
    bound = 1 / math.sqrt(400)
    assert 0.98 * bound < float(adapted.lora_a.abs().max()) <= bound
    assert float(adapted.lora_a.std()) == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert not adapted.lora_b.any()


class ReadsWeight(nn.Module):
    """Computes with the weight of its layer instead of calling it, as some of timm's attention does."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 4)

    def forward(self, features: Tensor) -> Tensor:
        return F.linear(features, self.inner.weight, self.inner.bias)


def test_what_reads_the_weight_of_a_layer_gets_the_merged_one():
    torch.manual_seed(0)
    net, features = ReadsWeight(), torch.randn(2, 3)
    exchange(net, {"inner": random_layer(net.inner)})
    assert net.inner.out_features == 4
    out = net(features)
    assert float((out - net.inner(features)).detach().norm() / out.detach().norm()) < 1e-6
    out.sum().backward()
    assert net.inner.lora_a.grad is not None
    assert net.inner.lora_a.grad.any()
    with pytest.raises(AttributeError, match="nothing"):
        _ = net.inner.nothing


def test_the_merged_state_is_that_of_the_plain_network():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    names, original = list(net.state_dict()), net[0]
    exchange(net, {"0": random_layer(net[0])})
    assert list(adapted_layers(net)) == ["0"]
    state = merged_state(net)
    assert list(state) == names
    assert torch.equal(state["0.weight"], adapted_layers(net)["0"].weight)
    assert not torch.equal(state["0.weight"], original.weight)
    with without_adapters(net):
        assert net[0] is original
    assert isinstance(net[0], LowRankAdapted)
    twin = copy.deepcopy(net)
    assert torch.equal(merged_state(twin)["0.weight"], state["0.weight"])


def test_merging_ignores_autocast():
    adapted = by_hand()
    adapted.original.weight.data += 2**-12  # bfloat16 has 8 bits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert adapted.weight.tolist() == (torch.tensor([[2.0, 1.0], [4.5, 2.5]]) + 2**-12).tolist()


class Scaled(nn.Conv2d):
    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(input, 2 * weight, bias)


@pytest.mark.parametrize(
    ("module", "adaptable"),
    [
        (nn.Linear(2, 3), True),
        (nn.MultiheadAttention(4, 2).out_proj, True),
        (nn.Conv2d(2, 3, 1, stride=2), True),
        (nn.Conv2d(2, 3, 3), False),
        (nn.Conv2d(2, 2, 1, groups=2), False),
        (nn.Conv2d(2, 3, 1, padding=1), False),
        (nn.ConvTranspose2d(2, 3, 1), False),
        (Scaled(2, 3, 1), False),
        (nn.Bilinear(2, 2, 2), False),
    ],
)
def test_which_layers_can_be_adapted(module: nn.Module, adaptable: bool):
    assert is_adaptable(module) is adaptable
