"""Gradients added up over processes, against the sum of each process's own."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from pixelwise.ranks import Ranks
from pixelwise.ranks.adding import AddedGradients, adding_later
from tests.ranks.processes import in_ranks


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.wide = nn.Conv2d(3, 40_000, 1)  # more than one message's share of the gradients
        self.conv = nn.Conv2d(40_000, 2, 1)

    def logits(self, images: Tensor) -> tuple[Tensor, ...]:
        return (self.conv(self.wide(images)),)


def images_of(rank: int, place: int) -> Tensor:
    return torch.randn(1, 3, 5, 5, generator=torch.Generator().manual_seed(10 * rank + place))


def gradients(network: Net) -> list[Tensor]:
    return [parameter.grad.clone() for parameter in network.parameters()]  # type: ignore[union-attr]


@pytest.mark.heavy
@pytest.mark.parametrize(("in_order", "in_memory"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("world", [2, 3])
def test_every_process_has_the_sum_of_all_gradients(world: int, in_order: bool, in_memory: bool):
    network = Net()
    expected: list[Tensor] = []
    for rank in range(world):
        alone = copy.deepcopy(network)
        for place in (0, 1):
            alone.logits(images_of(rank, place))[0].pow(2).sum().backward()
        own = gradients(alone)
        expected = [a + b for a, b in zip(expected, own, strict=True)] if expected else own

    def work(ranks: Ranks) -> list[Tensor]:
        mine = copy.deepcopy(network)
        forward = AddedGradients(mine, mine.logits, ranks, in_order, in_memory)
        for _ in range(3):  # after the first step the gradients are put into other messages
            mine.zero_grad()
            # The first pass waits for the second, which adds both up.
            with adding_later(forward):
                forward(images_of(ranks.rank, 0))[0].pow(2).sum().backward()
            forward(images_of(ranks.rank, 1))[0].pow(2).sum().backward()
        return gradients(mine)

    for found in in_ranks(world, work):
        for mine, wanted in zip(found, expected, strict=True):
            # In the order of the processes, the sum has the bits of one process that adds one after the other.
            bound = 0.0 if in_order else 1e-6 * float(wanted.abs().max())
            assert float((mine - wanted).abs().max()) <= bound


def test_one_process_adds_nothing_up():
    network = Net()
    with adding_later(network.logits):
        network.logits(images_of(0, 0))[0].sum().backward()
    assert len(gradients(network)) == 4
