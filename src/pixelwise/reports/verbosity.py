"""How much is said while something is done: the options -q and -v of every verb."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum


class Verbosity(IntEnum):
    """How much is said."""

    QUIET = 0
    """Only results, warnings and errors; no progress."""
    NORMAL = 1
    VERBOSE = 2
    """Also every phase, wherever the output goes, and the details that are left out of texts."""


_level: ContextVar[Verbosity] = ContextVar("verbosity", default=Verbosity.NORMAL)


def verbosity() -> Verbosity:
    """How much the verb that runs is to say."""
    return _level.get()


@contextmanager
def saying(level: Verbosity) -> Iterator[None]:
    """A context in which this much is said."""
    token = _level.set(level)
    try:
        yield
    finally:
        _level.reset(token)
