"""Ranges of files on other machines, asked for at the same time and before anybody needs them.

A request takes as long whether one byte is asked for or a million, so a loader that asks for one image after the other
waits most of its time. Neighbours are one request.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pixelwise.machine.thread_pools import thread_pool
from pixelwise.storage.stores.store import Store, require_memory
from pixelwise.storage.stores.versions import Versions

MOST_AT_ONCE = 32
"""Largest number of ranges that are asked for at the same time."""
LARGEST = 512 * 1024**2
"""Bytes that are kept for those who will need them; the oldest are dropped and asked for again."""
NEAR, LONGEST = 1 << 16, 16 * 1024**2
"""Bytes between two ranges up to which they are asked for together, and largest number of bytes of a request."""


class Range(NamedTuple):
    """Bytes of a file of a store."""

    store: Store
    name: str
    offset: int
    size: int


_Key = tuple[int, str, int, int]
_kept: OrderedDict[_Key, tuple[Store, bytes]] = OrderedDict()
"""What was fetched, with its store: as long as a store is here, no other one gets its id."""
_lock = threading.Lock()


def read_several(ranges: Sequence[Range], versions: Versions | None = None) -> list[bytes]:
    """The bytes of several ranges, of which at most `MOST_AT_ONCE` are asked for at the same time.

    Args:
        ranges: The ranges.
        versions: The versions of the files that were read before; None if it does not matter whether they changed.

    Raises:
        ChangedFileError: A file is of another version than before.
        OSError: One of them cannot be read.
        MemoryError: There is less memory than they need.
    """
    require_memory(sum(one.size for one in ranges))

    def read(one: Range) -> bytes:
        return one.store.read(*one[1:]) if versions is None else versions.read(*one)

    if len(ranges) < 2:
        return list(map(read, ranges))
    with thread_pool(min(MOST_AT_ONCE, len(ranges))) as pool:
        return list(pool.map(read, ranges))


def fetch(paths: Iterable[Path]) -> None:
    """Read the members among some paths that lie on other machines, at the same time; who opens them has them at once.

    Those of which parts may be read alone are left out. Errors are left to whoever opens the file: it is asked for
    again then.
    """
    wanted: dict[_Key, Range] = {}
    for path in paths:
        place = getattr(path, "place", None)
        if place is not None and place.store.far and not getattr(path, "by_ranges", False):
            wanted.setdefault(_key(place.range), place.range)
    ranges = [one for key, one in wanted.items() if key not in _kept and 2 * one.size < LARGEST]
    if len(ranges) < 2:
        return
    runs = neighbours(ranges)
    with thread_pool(min(MOST_AT_ONCE, len(runs))) as pool:
        for run, content in zip(runs, pool.map(_read, runs), strict=True):
            if content is None:
                continue
            for one in run:
                start = one.offset - run[0].offset
                # Cells of tables are asked for one by one, and a cell has more bytes than its one position.
                _keep(one, content[start : start + one.size] if one.store.by_bytes else content)


def neighbours(ranges: Iterable[Range]) -> list[list[Range]]:
    """The ranges in runs that are asked for together: of one file, with little between them, and not too long."""
    runs: list[list[Range]] = []
    for one in sorted(ranges, key=lambda range: (id(range.store), range.name, range.offset)):
        last = runs[-1][-1] if runs else None
        if last is not None and one.store.by_bytes and (last.store, last.name) == (one.store, one.name):
            gap = one.offset - last.offset - last.size
            if gap <= NEAR and one.offset + one.size - runs[-1][0].offset <= LONGEST:
                runs[-1].append(one)
                continue
        runs.append([one])
    return runs


def taken(range: Range) -> bytes | None:
    """The bytes of a range if they were fetched, for one time; else None."""
    if not range.store.far:
        return None
    with _lock:
        found = _kept.pop(_key(range), None)
    return None if found is None else found[1]


def _read(run: Sequence[Range]) -> bytes | None:
    first = run[0]
    end = max(one.offset + one.size for one in run)
    try:
        return first.store.read(first.name, first.offset, end - first.offset)
    except (OSError, MemoryError):
        return None


def _keep(range: Range, content: bytes) -> None:
    with _lock:
        _kept[_key(range)] = range.store, content
        while sum(len(one) for _, one in _kept.values()) > LARGEST:
            _kept.popitem(last=False)


def _key(range: Range) -> _Key:
    return id(range.store), range.name, range.offset, range.size
