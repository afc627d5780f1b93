"""Batch normalisation over processes, against one process with the whole batch."""

from __future__ import annotations

import copy
import functools

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from pixelwise.layers.shared_statistics import NotedStatistics, SharedStatistics, update_running
from pixelwise.ranks import ALONE, Ranks
from tests.ranks.processes import in_ranks

SHARES = {2: (5, 1), 3: (3, 2, 1)}
NETWORKS = {
    "plain": lambda: nn.BatchNorm2d(3),
    "without weights": lambda: nn.BatchNorm2d(3, affine=False),
    "without running statistics": lambda: nn.BatchNorm2d(3, track_running_stats=False),
    "cumulative average": lambda: nn.BatchNorm2d(3, momentum=None),
    "with an activation": lambda: BatchNormAct2d(3, act_layer=nn.ReLU),
    "two layers": lambda: nn.Sequential(nn.BatchNorm2d(3, momentum=0.3), nn.Conv2d(3, 3, 1), BatchNormAct2d(3)),
}


def seeded(name: str, kind: torch.dtype = torch.float64) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(1)
    network = NETWORKS[name]().to(kind).train()
    for parameter in network.parameters():
        nn.init.normal_(parameter, 1.0, 0.3)
    images = torch.randn(6, 3, 4, 5, dtype=kind) * 3 + 20  # a mean far from 0, in which digits would cancel
    return network, images


def passed(network: nn.Module, images: Tensor, *modes: object) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
    """Output, gradient of the images and of the parameters, and buffers."""
    images = images.clone().requires_grad_()
    if modes:
        with modes[0]:  # type: ignore[attr-defined]
            output = network(images)
    else:
        output = network(images)
    (output**3 * torch.arange(images.shape[-1])).sum().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    return output.detach(), images.grad, gradients, [one.clone() for one in network.buffers()]  # type: ignore[return-value]


@functools.cache
def over_processes(world: int) -> list[dict[str, tuple]]:
    """What each process computes with each network; to start the processes takes longer than all of them."""
    borders = [sum(SHARES[world][:rank]) for rank in range(world + 1)]

    def work(ranks: Ranks) -> dict[str, tuple]:
        found = {}
        for name in NETWORKS:
            network, images = seeded(name)
            part = images[borders[ranks.rank] : borders[ranks.rank + 1]]
            found[name] = *passed(network, part, SharedStatistics(ranks)), list(network.state_dict())
        return found

    return in_ranks(world, work)


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_shared_statistics_are_those_of_the_whole_batch(name: str, world: int):
    network, images = seeded(name)
    keys = list(network.state_dict())
    output, gradient, gradients, buffers = passed(network, images)
    found = [of_process[name] for of_process in over_processes(world)]
    assert [one[4] for one in found] == [keys] * world
    assert torch.allclose(torch.cat([one[0] for one in found]), output, rtol=1e-12, atol=1e-12)
    assert torch.allclose(torch.cat([one[1] for one in found]), gradient, rtol=1e-11, atol=1e-9)
    for place, expected in enumerate(gradients):
        assert torch.allclose(sum(one[2][place] for one in found), expected, rtol=1e-11, atol=1e-9)
    for one in found:
        for mine, expected in zip(one[3], buffers, strict=True):
            assert torch.allclose(mine.double(), expected.double(), rtol=1e-12, atol=1e-12)


def test_one_image_per_process_has_statistics():
    # A map of a single value: one process alone could not normalise it.
    network = nn.BatchNorm2d(2).double().train()
    values = torch.tensor([[1.0, 5.0], [3.0, 9.0]], dtype=torch.float64).view(2, 2, 1, 1)

    def work(ranks: Ranks) -> list[float]:
        with SharedStatistics(ranks):
            return network(values[ranks.rank : ranks.rank + 1]).flatten().tolist()

    # Means 2 and 7; variances 1 and 4.
    assert in_ranks(2, work) == [
        pytest.approx([-1 / (1 + 1e-5) ** 0.5, -2 / (4 + 1e-5) ** 0.5]),
        pytest.approx([1 / (1 + 1e-5) ** 0.5, 2 / (4 + 1e-5) ** 0.5]),
    ]


def test_a_single_value_is_refused_as_torch_refuses_it():
    with SharedStatistics(ALONE), pytest.raises(ValueError, match="more than 1 value per channel"):
        nn.BatchNorm2d(2).train()(torch.ones(1, 2, 1, 1))


def test_evaluation_is_untouched():
    network, images = seeded("with an activation")
    network.eval()
    with SharedStatistics(ALONE):
        shared = network(images)
    with NotedStatistics() as noting:
        noted = network(images)
    assert torch.equal(shared, network(images))
    assert torch.equal(noted, network(images))
    assert noting.noted == []


ORDERED = ("plain", "with an activation", "two layers")


def batches_of(images: Tensor) -> list[Tensor]:
    return [images * (one + 1) - one for one in range(4)]


def in_order(ranks: Ranks) -> dict[str, tuple[list[Tensor], list[Tensor]]]:
    """Network -> its outputs for a process's part of four batches, and its buffers after them."""
    found = {}
    for name in ORDERED:
        network, images = seeded(name, torch.float32)
        part = batches_of(images)[4 // ranks.world * ranks.rank :][: 4 // ranks.world]
        with NotedStatistics() as noting:
            seen = [network(batch).detach() for batch in part]
        update_running(noting.noted, ranks)
        for counter in (one for key, one in network.named_buffers() if key.endswith("num_batches_tracked")):
            counter.fill_(4)
        found[name] = seen, [one.clone() for one in network.buffers()]
    return found


@functools.cache
def all_in_order(world: int) -> list[dict[str, tuple[list[Tensor], list[Tensor]]]]:
    """What each process has; to start the processes takes longer than everything else."""
    return in_ranks(world, in_order) if world > 1 else [in_order(ALONE)]


@pytest.mark.parametrize("world", [1, 2, 4])
@pytest.mark.parametrize("name", ORDERED)
def test_running_statistics_take_the_batches_in_order(name: str, world: int):
    """Four batches: one process after the other gives the same bits as one process."""
    alone, images = seeded(name, torch.float32)
    outputs = [alone(batch) for batch in batches_of(images)]
    found = [of_process[name] for of_process in all_in_order(world)]
    for mine, expected in zip([one for seen, _ in found for one in seen], outputs, strict=True):
        assert torch.equal(mine, expected)
    for _, buffers in found:
        for mine, expected in zip(buffers, alone.buffers(), strict=True):
            assert torch.equal(mine, expected)


def test_the_number_of_images_is_asked_once_unless_it_is_known():
    torch.manual_seed(2)
    layers = [
        nn.BatchNorm2d(3),
        nn.Conv2d(3, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        nn.AdaptiveAvgPool2d(1),
        nn.BatchNorm2d(4),
    ]
    network = nn.Sequential(*layers).double().train()
    images = torch.randn(6, 3, 9, 11, dtype=torch.float64)
    expected = copy.deepcopy(network)(images).detach()
    # Rows that are no images are counted by themselves.
    rows = torch.randn(12, 3, 5, dtype=torch.float64)
    of_rows = nn.BatchNorm1d(3).double().train()(rows).detach()

    def work(ranks: Ranks) -> tuple[list[int], Tensor, Tensor]:
        asked: list[int] = []
        start, stop = ((0, 4), (4, 6))[ranks.rank]
        count = ranks.count

        def counting(number: int) -> int:
            asked.append(number)
            return count(number)

        ranks.count = counting  # type: ignore[method-assign]
        with SharedStatistics(ranks, total=6):
            known = copy.deepcopy(network)(images[start:stop])
        assert asked == []
        with SharedStatistics(ranks):
            output = copy.deepcopy(network)(images[start:stop])
            more = nn.BatchNorm1d(3).double().train()(rows[2 * start : 2 * stop])
        assert torch.equal(known, output)
        return asked, output.detach(), more.detach()

    found = in_ranks(2, work)
    assert [one[0] for one in found] == [[4, 8 * 5], [2, 4 * 5]]
    assert torch.allclose(torch.cat([one[1] for one in found]), expected, rtol=1e-12, atol=1e-12)
    assert torch.allclose(torch.cat([one[2] for one in found]), of_rows, rtol=1e-12, atol=1e-12)
