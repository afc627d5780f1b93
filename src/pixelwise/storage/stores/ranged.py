"""Members of larger files as streams of which only what is read is asked for, in blocks that are kept.

A block is asked for once as long as it is among the latest used ones, whoever reads it: what a decoder reads at the
beginning of a file is here when the file is opened again.
"""

from __future__ import annotations

import errno
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from pixelwise.storage.stores.ahead import LONGEST, Range, read_several
from pixelwise.storage.stores.store import Store
from pixelwise.storage.stores.streams import Seekable
from pixelwise.storage.stores.versions import Versions

BLOCK = 1 << 16
"""Bytes of a block; a request costs more than so many bytes."""
KEPT = 64 * 1024**2
"""Bytes of blocks that a process keeps."""

_Key = tuple[int, int, str, int, int]
_kept: OrderedDict[_Key, tuple[Store, Versions | None, bytes]] = OrderedDict()
"""Blocks with their store and versions: as long as these are here, no other ones get their ids."""
_lock = threading.Lock()


class RangedFile(Seekable):
    """A member of a file of a store, open for reading at any position.

    Its content is not compared with a SHA-256, which is that of all of it. But what is read is of the same version of
    the larger file as what was read before.

    Args:
        store: The store.
        name: Name of the larger file.
        offset: Position of the member's first byte there.
        size: Number of its bytes.
        versions: The versions of the files that were read before; None not to compare them.
    """

    def __init__(self, store: Store, name: str, offset: int, size: int, versions: Versions | None = None) -> None:
        super().__init__(size)
        self._store, self._name, self._offset, self._versions = store, name, offset, versions

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes, fewer at the end; all that are left if it is negative or None.

        Raises:
            ChangedFileError: The larger file has changed since parts of it were read.
            OSError: The larger file cannot be read, or ends before the member does.
            MemoryError: There is less memory than that.
        """
        left = max(0, self._size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        start = self._position
        self._position += wanted
        if not wanted:
            return b""
        first, last = start // BLOCK, (start + wanted - 1) // BLOCK
        found = self._blocks(range(first, last + 1))
        content = b"".join(found[block] for block in range(first, last + 1))
        return content[start - first * BLOCK : start - first * BLOCK + wanted]

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read as many bytes as the buffer holds, fewer at the end."""
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Ask for what will be read, all of it at the same time, if the store is on another machine.

        Args:
            ranges: Position and number of bytes of each part. More than half of what is kept is not asked for.

        Raises:
            As `read`.
        """
        if not self._store.far:
            return
        blocks = {
            block
            for start, size in ranges
            if size > 0
            for block in range(start // BLOCK, (min(start + size, self._size) - 1) // BLOCK + 1)
        }
        if 2 * len(blocks) * BLOCK <= KEPT:
            self._blocks(sorted(blocks))

    def _blocks(self, blocks: Sequence[int]) -> dict[int, bytes]:
        """The content of blocks, those that are not kept by as few requests as possible."""
        found: dict[int, bytes] = {}
        with _lock:
            for block in blocks:
                kept = _kept.get(self._key(block))
                if kept is not None:
                    _kept.move_to_end(self._key(block))
                    found[block] = kept[2]
        runs = _runs([block for block in blocks if block not in found])
        for run, content in zip(runs, read_several([self._range(run) for run in runs], self._versions), strict=True):
            if len(content) != self._range(run).size:
                raise OSError(errno.EIO, "the file in which it lies ends before it does")
            for number, block in enumerate(run):
                found[block] = content[number * BLOCK : (number + 1) * BLOCK]
                self._keep(block, found[block])
        return found

    def _range(self, run: range) -> Range:
        begin, end = run.start * BLOCK, min(run.stop * BLOCK, self._size)
        return Range(self._store, self._name, self._offset + begin, end - begin)

    def _keep(self, block: int, content: bytes) -> None:
        with _lock:
            _kept[self._key(block)] = self._store, self._versions, content
            while len(_kept) > KEPT // BLOCK:
                _kept.popitem(last=False)

    def _key(self, block: int) -> _Key:
        return id(self._store), id(self._versions), self._name, self._offset, block


def _runs(blocks: Sequence[int]) -> list[range]:
    """Increasing numbers of blocks in runs without gaps, none of which is too long for a request."""
    runs: list[range] = []
    for block in blocks:
        if runs and runs[-1].stop == block and len(runs[-1]) * BLOCK < LONGEST:
            runs[-1] = range(runs[-1].start, block + 1)
        else:
            runs.append(range(block, block + 1))
    return runs
