"""What a process may ask of the others it works with, and the answers of a process that works alone.

Losses, batch normalisation, the training loop and evaluation know only `Ranks`. `ALONE` answers for one process: every
sum over all processes is the process's own value, the same object, so nothing is computed and no bit changes.
`pixelwise.ranks.group` answers for several processes. No torch import.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

Value = TypeVar("Value")


class Ranks:
    """The processes that work together, as one of them sees them; this class is a single process.

    All methods but `first` and `host_share` are collective: every process has to call them, in the same order.
    """

    @property
    def world(self) -> int:
        """Number of processes."""
        return 1

    @property
    def rank(self) -> int:
        """Number of this process, 0..world-1."""
        return 0

    @property
    def local_world(self) -> int:
        """Number of processes on this host."""
        return 1

    @property
    def local_rank(self) -> int:
        """Number of this process on its host, 0..local_world-1."""
        return 0

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and speaks to the user."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all processes; its gradient is that of the process's own part.

        So every process computes the same loss, and the sum of all processes' gradients is that of one process that
        has all the data.

        Args:
            value: Floating point or integer tensor, of the same shape everywhere.
        """
        return value

    def count(self, number: int) -> int:
        """The sum of a whole number over all processes."""
        return number

    def kth(self, values: Tensor, k: int) -> Tensor:
        """The k-th smallest value of all processes, a scalar without gradient.

        Args:
            values: Floating point, any shape, 0 or more, infinity or NaN (which is larger than infinity); each process
                may have a different number.
            k: From 1 to the number of all values.
        """
        return values.flatten().kthvalue(k).values

    def gather(self, values: Tensor, lengths: Sequence[int] | None = None) -> tuple[Tensor, slice]:
        """The values of all processes, one after the other, without gradient, and where this process's own are.

        Args:
            values: (n, ...); n may differ between processes, and may be 0.
            lengths: The n of each process, in order, where all of them know it, which saves a message; None to ask.
        """
        return values.detach(), slice(0, len(values))

    def gather_objects(self, value: Value) -> list[Value]:
        """The value of each process, in order; it has to be something that pickle can store."""
        return [value]

    def agree(self, numbers: Sequence[int]) -> list[int]:
        """The largest of all processes' numbers, at each place."""
        return list(numbers)

    def told(self, value: Value) -> Value:
        """The value of the first process; those of the others are not used."""
        return value

    def share(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite tensors with those of the first process."""

    def wait(self) -> None:
        """Return once every process has called this."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _alone, ()


def _alone() -> Ranks:
    return ALONE


ALONE = Ranks()
"""A process that works alone."""
