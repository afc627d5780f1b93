"""Several processes that work together through `torch.distributed`."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from pixelwise.machine.network import notice_silence
from pixelwise.ranks.alone import Ranks, Value

DIGIT_BITS = 11
"""Bits that each round of the search for the k-th smallest value decides."""
TIMEOUT = datetime.timedelta(seconds=float(os.environ.get("PIXELWISE_RANKS_TIMEOUT", "120")))
"""Time after which a process gives up waiting for the others: a host that is lost is noticed after it."""

PATIENCE = datetime.timedelta(days=2)
"""Time after which a process gives up waiting for what the first one tells; it ends before if that one is gone."""


class Group(Ranks):
    """The processes of the default process group, which has to be initialised.

    Args:
        local_rank: Number of this process on its host.
        local_world: Number of processes on this host.
        timeout: Time after which a process gives up waiting for the others.
    """

    def __init__(self, local_rank: int = 0, local_world: int = 1, timeout: datetime.timedelta = TIMEOUT) -> None:
        self._world, self._rank = dist.get_world_size(), dist.get_rank()
        self._local_rank, self._local_world = local_rank, local_world
        # What the hosts agree on stays on the processor: asking a GPU would wait for the step that it computes.
        self._hosts: Any = dist.new_group(backend="gloo", timeout=timeout)
        # While the first process examines a large data set, the others have nothing to do.
        self._patient: Any = dist.new_group(backend="gloo", timeout=PATIENCE)
        notice_silence(timeout.total_seconds())  # but if its host is lost, they do not wait on

    @property
    def world(self) -> int:
        """Number of processes."""
        return self._world

    @property
    def rank(self) -> int:
        """Number of this process."""
        return self._rank

    @property
    def local_world(self) -> int:
        """Number of processes on this host."""
        return self._local_world

    @property
    def local_rank(self) -> int:
        """Number of this process on its host."""
        return self._local_rank

    def sum(self, value: Tensor) -> Tensor:
        """The sum over all processes, with the gradient of the own part."""
        total = value.detach().clone()
        dist.all_reduce(total)
        return _Own.apply(value, total) if value.requires_grad else total  # type: ignore[return-value]

    def count(self, number: int) -> int:
        """The sum of a whole number."""
        total = torch.tensor([number], dtype=torch.int64)
        dist.all_reduce(total, group=self._hosts)
        return int(total)

    def kth(self, values: Tensor, k: int) -> Tensor:
        """The k-th smallest value of all processes."""
        # The bit patterns of floating-point numbers of 0 or more are ordered as the numbers are. Each round counts the
        # values, of all processes, that share the digits found so far, by their next digit.
        kind = {4: torch.int32, 8: torch.int64}[values.element_size()]
        patterns = values.detach().abs().flatten().contiguous().view(kind).to(torch.int64)
        found = torch.zeros((), dtype=torch.int64, device=values.device)
        left = torch.full((), k, dtype=torch.int64, device=values.device)
        high = 8 * values.element_size() - 1  # without the sign
        while high > 0:
            low = max(0, high - DIGIT_BITS)
            digits = (patterns >> low) & ((1 << (high - low)) - 1)
            candidates = (patterns >> high) == (found >> high)
            counts = torch.zeros(1 << (high - low), dtype=torch.int64, device=values.device)
            counts.scatter_add_(0, digits, candidates.to(torch.int64))
            dist.all_reduce(counts)
            below = counts.cumsum(0)
            digit = torch.searchsorted(below, left)
            left = left - (below[digit] - counts[digit])
            found = found | (digit << low)
            high = low
        return found.to(kind).view(values.dtype)

    def gather(self, values: Tensor, lengths: Sequence[int] | None = None) -> tuple[Tensor, slice]:
        """The values of all processes, in order."""
        if lengths is None:
            lengths = self.agree([len(values) if rank == self.rank else 0 for rank in range(self.world)])
        if len(values) != lengths[self.rank]:
            raise ValueError(f"process {self.rank} has {len(values)} values to gather; expected {lengths[self.rank]}")
        padded = values.detach().contiguous()
        if len(values) < max(lengths):
            padded = torch.cat([padded, padded.new_zeros((max(lengths) - len(values), *values.shape[1:]))])
        parts = [torch.empty_like(padded) for _ in lengths]
        dist.all_gather(parts, padded)
        start = sum(lengths[: self.rank])
        together = torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])
        return together, slice(start, start + len(values))

    def gather_objects(self, value: Value) -> list[Value]:
        """The value of each process, in order."""
        found: list[Any] = [None] * self.world
        dist.all_gather_object(found, value, group=self._hosts)
        return found

    def agree(self, numbers: Sequence[int]) -> list[int]:
        """The largest numbers."""
        largest = torch.tensor(list(numbers), dtype=torch.int64)
        dist.all_reduce(largest, dist.ReduceOp.MAX, group=self._hosts)
        return largest.tolist()

    def told(self, value: Value) -> Value:
        """The value of the first process."""
        found: list[Any] = [value]
        dist.broadcast_object_list(found, src=0, group=self._patient)
        return found[0]

    def share(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite tensors with those of the first process."""
        for tensor in tensors:
            part = tensor.detach()
            dense = part.contiguous()
            dist.broadcast(dense, src=0)
            if dense is not part:
                part.copy_(dense)

    def wait(self) -> None:
        """Return once every process has called this."""
        dist.barrier(group=self._hosts)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a group of processes cannot be pickled; it belongs to the process that joined it")


class _Own(torch.autograd.Function):
    """A sum over all processes, whose gradient is that of the own part."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, total: Tensor) -> Tensor:
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0], None
