"""Files of stores as streams, for whoever reads a format from a stream: of what is sought, only that is read."""

from __future__ import annotations

import io

from pixelwise.storage.stores.store import Store

NEAR, FAR = 4096, 1 << 16
"""Bytes of a read of a file of this machine, and of one of another machine, where a request costs more than bytes."""


class Seekable(io.RawIOBase):
    """Bytes of known number that are read from any position on; subclasses read from `_position` and move it.

    Args:
        size: Number of bytes.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size, self._position = size, 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be read from any position on."""
        return True

    def tell(self) -> int:
        """Position of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Choose the position of the next byte; nothing is read."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position


class StoreFile(Seekable):
    """A file of a store, open for reading at any position.

    Args:
        store: The store.
        name: Name of the file.
        size: Number of its bytes, if it is known; otherwise the store is asked.

    Raises:
        OSError: There is no such file, or it cannot be read.
    """

    def __init__(self, store: Store, name: str, size: int | None = None) -> None:
        super().__init__(store.size(name) if size is None else size)
        self._store, self._name = store, name

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read as many bytes as the buffer holds, fewer at the end of the file."""
        wanted = min(len(buffer), max(0, self._size - self._position))
        content = self._store.read(self._name, self._position, wanted) if wanted else b""
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def buffered(store: Store, name: str, size: int | None = None) -> io.BufferedReader:
    """A file of a store that is read in blocks, so that small neighbours are one request.

    Raises:
        OSError: There is no such file, or it cannot be read.
    """
    return io.BufferedReader(StoreFile(store, name, size), FAR if store.far else NEAR)
