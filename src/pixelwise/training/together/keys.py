"""Keys of training pairs, and the keys of a batch."""

from __future__ import annotations

from collections.abc import Iterable

Key = tuple[int, int]
"""(epoch, index): which augmentation of which sample."""


class Keys(list[Key]):
    """The keys of a batch, or of a process's part of it.

    Attributes:
        following: The key after the last one in the whole batch, where this is a part of it: the last pair of the part
            is mixed with it. None: the first pair follows the last.
        repeated: Whether all processes have the same batch, because it is too small to be divided.
        total: Number of keys of the whole batch, where this is a part of it.
    """

    def __init__(
        self,
        keys: Iterable[Key] = (),
        following: Key | None = None,
        repeated: bool = False,
        total: int | None = None,
    ) -> None:
        super().__init__(keys)
        self.following = following
        self.repeated = repeated
        self.total = total
