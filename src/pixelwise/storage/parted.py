"""Cache entries that grow: values by key in parts, each of which is written once and read when it is needed.

A process that is killed loses the part that it was filling. A damaged part counts as missing. Several processes may
write at the same time, because the name of a part is the hash of its content.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

import msgspec
import numpy as np

from pixelwise.errors import ResourceError
from pixelwise.storage.cache_kinds import CacheKind
from pixelwise.storage.caches import Found, cache_folder, entry_path, recall, remember, remove
from pixelwise.storage.hashing import sha256_bytes

_SHARE = 16
"""A part is written when it holds this share of the expected values, or of the time that has passed."""
_FEWEST, _SHORTEST = 8, 0.25
"""Values, and seconds, that are not worth a part of their own."""
_OPEN = 4
"""Parts that are kept in memory."""

_Values = dict[bytes, tuple[int, bytes]]
"""Key -> time at which it was stored, and value."""


class PartedCache:
    """Values by key, in files of the cache folder. Thread-safe, except for `save`.

    In memory are about 20 bytes for each value, the part that is being filled and a few that were read.

    Args:
        kind: A kind whose entries are files.
        key: Hexadecimal hash of everything that the values depend on besides their keys.
        most: Largest number of values in a part.
        expected: Number of values to come, if it is known: fewer than a tenth of them are ever at risk.
        gone: Tells whether a key that nobody asked for is of no use any more.
    """

    def __init__(
        self,
        kind: CacheKind,
        key: str,
        *,
        most: int = 1024,
        expected: int = 0,
        gone: Callable[[bytes], bool] = lambda key: False,
    ) -> None:
        self._kind, self._key, self._gone = kind, key, gone
        self._most = most
        self._due = min(most, max(_FEWEST, expected // _SHARE)) if expected else most
        self._lock = threading.Lock()
        self._began = self._written_at = time.monotonic()
        self._read: OrderedDict[str, _Values] = OrderedDict()
        self._filling: _Values = {}
        self._written: dict[str, int] = {}
        self._added = array("q")
        self._index()

    def get(self, key: bytes, fits: Callable[[bytes], bool] = lambda value: True) -> bytes | None:
        """The value of a key that was stored by an earlier `save`, or None.

        Args:
            key: The key.
            fits: Tells whether a value is the wanted one: there may be several from different times.
        """
        wanted = hash(key)
        with self._lock:
            begin, end = (int(np.searchsorted(self._hashes, wanted, side)) for side in ("left", "right"))
            found = [(self._part(self._names[self._parts[row]]).get(key), row) for row in range(begin, end)]
            fitting = [(*known, row) for known, row in found if known is not None and fits(known[1])]
            if not fitting:
                return None
            _, value, row = max(fitting)
            self._used[row] = True
            return value

    def put(self, key: bytes, value: bytes) -> None:
        """Store a value, which takes the place of earlier ones."""
        with self._lock:
            self._filling[key] = (time.time_ns(), value)
            now = time.monotonic()
            waiting, passed = now - self._written_at, now - self._began
            if len(self._filling) < self._due and waiting < max(_SHORTEST, passed / _SHARE):
                return
            values, self._filling, self._written_at = self._filling, {}, now
        self._write(values)

    def save(self, *, own: bool = False) -> None:
        """Write what was put last, and make few parts of many if anything was written.

        Args:
            own: Leave the parts that other processes have written as they are. Of many processes that fill one cache,
                each would otherwise read and join what all others have written.
        """
        if self._filling:
            self._write(self._filling)
            self._filling = {}
        if self._written or self._damaged:
            self._tidy(own=own)

    def _index(self) -> None:
        """Find the values in all parts: of every one the hash of its key, and the part."""
        self._names: list[str] = []
        self._damaged: list[str] = []
        hashes, parts = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)]
        for name in self._existing():
            values = self._load(name)
            if values is None:
                self._damaged.append(name)
                continue
            hashes.append(np.fromiter(map(hash, values), np.int64, len(values)))
            parts.append(np.full(len(values), len(self._names), np.int32))
            self._names.append(name)
        joined = np.concatenate(hashes)
        order = np.argsort(joined, kind="stable")
        self._hashes, self._parts = joined[order], np.concatenate(parts)[order]
        self._used = np.zeros(len(order), bool)

    def _existing(self) -> list[str]:
        """Keys of the parts in the cache folder."""
        try:
            folder = cache_folder()
            paths = sorted(folder.glob(self._kind.entry_name(f"{self._key}-*")))
            names = [self._kind.parse(path.relative_to(folder).as_posix()) for path in paths if not path.is_dir()]
        except (OSError, ResourceError):
            return []
        return [name.key for name in names if name is not None]

    def _load(self, name: str) -> _Values | None:
        return recall(self._kind, name, _Values)

    def _part(self, name: str) -> _Values:
        if name not in self._read:
            self._read[name] = self._load(name) or {}
            if len(self._read) > _OPEN:
                self._read.popitem(last=False)
        self._read.move_to_end(name)
        return self._read[name]

    def _write(self, values: _Values) -> str:
        # In order, so that the same values have the same name, whoever was first.
        ordered = dict(sorted(values.items()))
        digest = sha256_bytes(msgspec.msgpack.encode([(key, value) for key, (_, value) in ordered.items()]))
        name = f"{self._key}-{int(digest[:14], 16)}"
        if name not in self._names and name not in self._written:
            remember(self._kind, name, ordered)
        with self._lock:
            self._written[name] = len(values)
            self._added.extend(map(hash, values))
        return name

    def _tidy(self, *, own: bool) -> None:
        """Join small parts, and leave out values that others have taken the place of, or that are of no use."""
        current = np.union1d(self._hashes[self._used], np.frombuffer(self._added, np.int64) if self._added else [])
        replaced = ~self._used & np.isin(self._hashes, current)
        sizes, in_use = (
            np.bincount(rows, minlength=len(self._names)) for rows in (self._parts, self._parts[self._used])
        )
        # The full ones first: if all their values are kept, they stay as they are.
        loose = sorted(
            (place for place in range(len(sizes)) if 2 * in_use[place] < self._most), key=lambda i: -sizes[i]
        )
        old = {
            self._names[place]: set(self._hashes[replaced & (self._parts == place)].tolist())
            for place in loose
            if not own and self._names[place] not in self._written
        }
        small = [name for name, number in self._written.items() if 2 * number < self._most]
        if not old and not self._damaged and len(small) < 2:
            return
        large = self._written.keys() - set(small)
        kept = large | {self._write(values) for values in self._joined(old, small)}
        # On a full disk nothing was written, which nobody hears of.
        if kept <= set(self._existing()):
            self._remove({*old, *small, *self._damaged} - kept)
        self._written, self._damaged = {}, []

    def _joined(self, old: dict[str, set[int]], new: Iterable[str]) -> Iterator[_Values]:
        """The values of parts that are to be kept, in full parts; `old` has the hashes of keys to leave out."""
        joined: _Values = {}
        for name in (*old, *new):
            leave = old.get(name, set())
            for key, value in (self._load(name) or {}).items():
                number = hash(key)
                if number in leave or (name in old and self._is_idle(number) and self._gone(key)):
                    continue
                joined[key] = max(value, joined.get(key, value))
                if len(joined) == self._most:
                    yield joined
                    joined = {}
        if joined:
            yield joined

    def _is_idle(self, number: int) -> bool:
        begin, end = (int(np.searchsorted(self._hashes, number, side)) for side in ("left", "right"))
        return not self._used[begin:end].any()

    def _remove(self, names: set[str]) -> None:
        for name in names:
            remove(Found(entry_path(self._kind, name)))
