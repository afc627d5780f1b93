"""Sums in memory that processes share, against the sum of what each of them has."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor

from pixelwise.ranks import Ranks, nearby
from tests.ranks.processes import in_ranks

ROUNDS = 6


def of_round(round_: int, rank: int) -> list[Tensor]:
    """Tensors of odd sizes and two types, whose sum depends on the order."""
    random = torch.Generator().manual_seed(100 * round_ + rank)
    return [
        torch.randn(7, generator=random),
        torch.randn(3, generator=random, dtype=torch.float64),
        1e6 * torch.randn(1001, generator=random),
        torch.zeros(0),
    ]


@pytest.mark.parametrize("world", [2, 3])
def test_every_process_has_the_sum_in_the_order_of_the_processes(world: int):
    def work(ranks: Ranks) -> list[list[Tensor]]:
        memory = nearby.nearby(of_round(0, 0), ranks)
        assert memory is not None
        found = []
        for round_ in range(ROUNDS):
            own = of_round(round_, ranks.rank)
            sums = []
            for number, tensor in enumerate(own):
                time.sleep(0.002 * ((round_ + number + ranks.rank) % 3))  # each is late now and then
                sums.append(memory.sum(tensor, first=number == 0))
            found.append([one.wait() for one in sums])
            assert all(a is b for a, b in zip(found[-1], own, strict=True))
        return found

    for found in in_ranks(world, work):
        for round_, sums in enumerate(found):
            parts = [of_round(round_, rank) for rank in range(world)]
            for number, total in enumerate(sums):
                expected = parts[0][number]
                for part in parts[1:]:
                    expected = expected + part[number]
                assert torch.equal(total, expected)


def test_all_processes_do_without_if_one_cannot_share():
    def work(ranks: Ranks) -> list[bool]:
        def refuse(*_: object) -> None:
            raise OSError

        original = nearby.shared_memory_at
        if ranks.rank == 1:
            nearby.SharedMemory = refuse  # type: ignore[assignment, misc]
        found = [nearby.nearby(of_round(0, 0), ranks) is None]
        if ranks.rank == 0:
            nearby.shared_memory_at = refuse  # type: ignore[assignment]
        found.append(nearby.nearby(of_round(0, 0), ranks) is None)
        nearby.shared_memory_at = original
        return found

    assert in_ranks(2, work) == [[True, True], [True, True]]


def test_several_hosts_share_no_memory():
    def work(ranks: Ranks) -> bool:
        ranks._local_world = 1  # type: ignore[attr-defined]
        return nearby.nearby(of_round(0, 0), ranks) is None

    assert in_ranks(2, work) == [True, True]
