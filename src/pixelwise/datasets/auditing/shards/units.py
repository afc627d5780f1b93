"""Units of an audit: pairs that follow each other, which one worker examines at a time."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import msgspec

from pixelwise.errors import ResourceError
from pixelwise.storage import sha256_bytes
from pixelwise.storage.cache_kinds import EXAMINING
from pixelwise.storage.caches import Found, entry_path, recall, remember, remove

PATIENCE = 2
"""Number of attempts at a unit after which it is examined carefully: workers die of one of its files, perhaps."""
_SHORTEST, _LONGEST, _MOST = 64, 1024, 64
"""Pairs of a unit, and number of units of a small data set: enough that all workers end at about the same time."""


class Unit(NamedTuple):
    """Pairs that follow each other.

    Attributes:
        first: Position of the first pair among all pairs of all splits.
        end: Position after the last one.
    """

    first: int
    end: int

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        return self.end - self.first


def divide(total: int) -> list[Unit]:
    """Divide so many pairs."""
    length = max(_SHORTEST, min(_LONGEST, total // _MOST))
    return [Unit(first, min(first + length, total)) for first in range(0, total, length)]


class Attempts:
    """Notes in the cache folder of the units that were begun and are not finished.

    Args:
        about: What the units are of: the data set and how it is read.
    """

    def __init__(self, about: object) -> None:
        self._about = msgspec.json.encode(about, enc_hook=repr)

    def begin(self, unit: Unit) -> int:
        """Note that a unit is begun; returns how often it was begun by now, without anybody finishing it, at most 3.

        Where notes cannot be kept, it is as if there had been many attempts, or a file of which workers die would have
        them die for ever.
        """
        for number, name in enumerate(self._names(unit), 1):
            if recall(EXAMINING, name, int) is None:
                remember(EXAMINING, name, number)
                return number if recall(EXAMINING, name, int) is not None else PATIENCE + 1
        return PATIENCE + 1

    def forget(self, unit: Unit) -> None:
        """Remove the notes of a unit, which is finished."""
        with contextlib.suppress(ResourceError):  # there is no cache folder, and no note in it
            for name in self._names(unit):
                remove(Found(entry_path(EXAMINING, name)))

    def _names(self, unit: Unit) -> list[str]:
        key = sha256_bytes(self._about + repr(tuple(unit)).encode())[:24]
        return [f"{key}-{number}" for number in range(1, PATIENCE + 1)]
