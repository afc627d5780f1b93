"""Gradients that the processes of one host add up in memory which they share.

`torch.distributed` sends them over the loopback network, which costs ten times as much as writing and reading them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.futures import Future

from pixelwise.machine.memory import SharedMemory, shared_memory_at
from pixelwise.ranks.alone import Ranks

_LINE = 64
"""Bytes of a line of the processor's cache; tensors begin at one."""


class Nearby:
    """Sums over the processes of one host, in their order: the bits are those of one process that adds.

    Each process writes its tensors into a part of the memory that is its own and, once all have said that theirs are
    written, reads those of all. Others may still read when it goes on, so it has two such parts and takes them in
    turns: a round ends after all processes have begun it, and they begin it after they have read the round before.

    Args:
        memories: What each process shares, as bytes: of each, the two parts.
        rank: Number of this process.
    """

    def __init__(self, memories: Sequence[Tensor], rank: int) -> None:
        self._memories, self._rank = memories, rank
        self._size = len(memories[0]) // 2
        self._turn, self._used = 0, 0

    def sum(self, own: Tensor, *, first: bool) -> Future[Tensor]:
        """Overwrite a tensor with its sum over all processes.

        Args:
            own: Contiguous, on the processor; of the same shape and type in all processes.
            first: Whether it is the first of a round. All processes have to wait for all sums of a round before they
                begin the next.

        Returns:
            The tensor, when it is the sum.
        """
        if first:
            self._turn, self._used = 1 - self._turn, 0
        start = self._turn * self._size + self._used
        self._used += on_lines(own)
        parts = [memory[start : start + own.nbytes].view(own.dtype).view_as(own) for memory in self._memories]
        parts[self._rank].copy_(own)
        written: Any = dist.all_reduce(torch.zeros(1), async_op=True)

        def added(done: Future[list[Tensor]]) -> Tensor:
            done.value()  # raises what has kept another process from writing
            torch.add(parts[0], parts[1], out=own)
            for part in parts[2:]:
                own.add_(part)
            return own

        return written.get_future().then(added)  # type: ignore[no-any-return]


def nearby(tensors: Sequence[Tensor], ranks: Ranks) -> Nearby | None:
    """Memory for sums of so many tensors in a round; None if not all processes can share it.

    They cannot on several hosts, in containers of their own, and on systems other than Linux.

    Args:
        tensors: Tensors of the sizes to add up, singly or joined.
        ranks: The processes, each of which makes this call.
    """
    if not 1 < ranks.world == ranks.local_world:
        return None
    size = 2 * sum(map(on_lines, tensors))
    own = None
    with contextlib.suppress(OSError):
        own = SharedMemory(size)
    addresses = ranks.gather_objects(None if own is None else own.address)
    memories: list[Tensor] = []
    with contextlib.suppress(OSError):
        for address in addresses:
            if address is not None:
                memories.append(torch.frombuffer(shared_memory_at(address, size), dtype=torch.uint8))
    (missing,) = ranks.agree([ranks.world - len(memories)])  # after it, all have opened what this process shares
    if own is not None:
        own.close()
    return None if missing else Nearby(memories, ranks.rank)


def on_lines(tensor: Tensor) -> int:
    """Bytes that a tensor takes if the next one begins at a line of the cache."""
    return -(-tensor.nbytes // _LINE) * _LINE
