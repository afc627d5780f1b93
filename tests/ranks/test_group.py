"""What processes tell each other, against numpy and against one process."""

import math
import pickle
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from pixelwise.machine.network import OPEN_FILES, _connections
from pixelwise.ranks import ALONE, Ranks
from tests.ranks.processes import PATIENCE, in_ranks

PARTS = (3, 1, 2)
"""Number of values of each process: unequal, and none may be taken for the largest."""


def test_alone_a_sum_is_the_value_itself():
    value = torch.ones(3)
    assert ALONE.sum(value) is value
    assert (ALONE.world, ALONE.rank, ALONE.local_world, ALONE.local_rank, ALONE.first) == (1, 0, 1, 0, True)
    assert ALONE.count(5) == 5
    assert ALONE.agree([1, 0]) == [1, 0]
    assert ALONE.told("a") == "a"
    assert ALONE.gather_objects(7) == [7]
    assert pickle.loads(pickle.dumps(ALONE)) is ALONE


@pytest.mark.parametrize("world", [2, 3])
def test_sums_counts_and_agreements_are_those_of_all(world: int):
    def work(ranks: Ranks) -> tuple:
        value = torch.tensor([1.0, 10.0]) * (ranks.rank + 1)
        told = ranks.told({"from": ranks.rank})
        shared = [torch.full((2, 2), float(ranks.rank)).T, torch.tensor(ranks.rank)]
        ranks.share(shared)
        ranks.wait()
        found = ranks.agree([ranks.rank, -ranks.rank, 4])
        patience = [one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) for one in _connections()]
        return (
            ranks.sum(value).tolist(), ranks.count(ranks.rank), found, told, ranks.gather_objects(ranks.rank),
            [one.tolist() for one in shared], ranks.first, ranks.world, patience,
        )  # fmt: skip

    for rank, found in enumerate(in_ranks(world, work)):
        total, count, agreed, told, everyone, shared, first, number, patience = found
        times = world * (world + 1) / 2
        assert total == [times, 10 * times]
        assert count == sum(range(world))
        assert agreed == [world - 1, 0, 4]
        assert told == {"from": 0}
        assert everyone == list(range(world))
        assert shared == [[[0.0, 0.0], [0.0, 0.0]], 0]
        assert (first, number) == (rank == 0, world)
        # Each group has a connection to every other process, and none outlives its host for long.
        assert len(patience) >= 3 * (world - 1) or not Path(OPEN_FILES).is_dir()
        assert set(patience) <= {round(1000 * PATIENCE / 2)}


def test_the_gradient_of_a_sum_is_that_of_the_own_part():
    def work(ranks: Ranks) -> tuple[float, float]:
        own = torch.tensor(float(ranks.rank + 2), requires_grad=True)
        (ranks.sum(own * own) ** 2).backward()
        return float(ranks.sum((own * own).detach())), float(own.grad)  # type: ignore[arg-type]

    # (4 + 9)^2 = 169: by x, 2 * 13 * 2x.
    assert in_ranks(2, work) == [(13.0, 104.0), (13.0, 156.0)]


def test_unequal_parts_are_gathered_in_order():
    def work(ranks: Ranks) -> tuple:
        own = torch.full((PARTS[ranks.rank] - 1, 2), ranks.rank, dtype=torch.uint8)
        together, place = ranks.gather(own)
        return together.tolist(), (place.start, place.stop)

    everything = [[0, 0]] * 2 + [[2, 2]]
    assert in_ranks(3, work) == [(everything, (0, 2)), (everything, (2, 2)), (everything, (2, 3))]


def test_parts_of_known_lengths_are_gathered_in_one_message():
    def work(ranks: Ranks) -> tuple:
        sent, gather = [], dist.all_gather

        def gathering(parts: list[torch.Tensor], own: torch.Tensor) -> None:
            sent.append(tuple(own.shape))
            gather(parts, own)

        def no_other(*_: object, **__: object) -> None:
            raise AssertionError("another message")

        dist.all_gather, dist.all_reduce, dist.all_gather_object = gathering, no_other, no_other  # type: ignore[assignment]
        own = torch.full((PARTS[ranks.rank], 2), ranks.rank, dtype=torch.float64)
        together, place = ranks.gather(own.T.contiguous().T, lengths=PARTS)
        try:
            ranks.gather(own[1:], lengths=PARTS)
        except ValueError as error:
            return together[:, 1].tolist(), (place.start, place.stop), sent, str(error)
        return ()

    for rank, (values, place, sent, refused) in enumerate(in_ranks(3, work)):
        assert values == [0, 0, 0, 1, 2, 2]
        assert place == ((0, 3), (3, 4), (4, 6))[rank]
        assert sent == [(3, 2)]
        assert refused == f"process {rank} has {PARTS[rank] - 1} values to gather; expected {PARTS[rank]}"


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("world", [2, 3])
def test_the_kth_smallest_is_numpys(world: int, kind: torch.dtype):
    random = np.random.default_rng(world)
    parts = [torch.from_numpy(random.random(n)).to(kind) for n in (500, 1, 77)[:world]]
    parts[0][:40] = parts[1][0]  # ties over the border of a process
    parts[0][40:50] = math.inf
    parts[0][50] = 0.0
    expected = np.sort(torch.cat(parts).numpy())
    places = [1, 2, 3, len(expected) // 2, len(expected) - 11, len(expected)]

    def work(ranks: Ranks) -> list[float]:
        return [float(ranks.kth(parts[ranks.rank], place)) for place in places]

    for found in in_ranks(world, work):
        assert found == [float(expected[place - 1]) for place in places]


def test_nan_is_the_largest_value_as_in_kthvalue():
    values = torch.tensor([0.5, math.nan, math.inf, 0.1])

    def work(ranks: Ranks) -> list[float]:
        return [float(ranks.kth(values[2 * ranks.rank :][:2], place)) for place in (1, 2, 3, 4)]

    for found in in_ranks(2, work):
        assert found[:3] == pytest.approx([0.1, 0.5, math.inf])
        assert math.isnan(found[3])
        assert math.isnan(float(ALONE.kth(values, 4)))


def test_a_process_that_fails_is_named():
    def work(ranks: Ranks) -> None:
        if ranks.rank == 1:
            raise RuntimeError("of rank 1 alone")

    with pytest.raises(AssertionError, match="of rank 1 alone"):
        in_ranks(2, work)
