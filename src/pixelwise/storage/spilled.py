"""What lies on the disk instead of in memory as long as its process needs it: rows of bytes, and files of any kind."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pixelwise.errors import ResourceError
from pixelwise.storage.atomic import TEMPORARY_PREFIX, remove_leftovers, scratch_folder
from pixelwise.storage.caches import cache_folder
from pixelwise.storage.locks import shared_lock

_KEPT = 8192
"""Number of rows that are kept in memory."""
_BLOCK = 1024
"""Rows that are written together."""


class SpilledRows:
    """Rows of equal length, each of which is set at most once; those that are not set are zeros.

    Many rows lie in a file of the cache folder that has no name, so that nothing is left of it when the process ends,
    however it ends. Where no file can be written they stay in memory.

    Args:
        number: Number of rows.
        width: Bytes of a row.
    """

    def __init__(self, number: int, width: int) -> None:
        self._number, self._width = number, width
        self._file = unnamed_file() if number > _KEPT else None
        # Memory that nothing is written to is not taken.
        self._rows = np.zeros((number if self._file is None else _BLOCK, width), np.uint8)
        self._begin = 0
        """Row that the block in memory begins with, if there is a file."""
        self._unwritten = False

    def __len__(self) -> int:
        return self._number

    def set(self, row: int, content: bytes) -> None:
        """Set a row; it is cheapest in increasing order."""
        if self._file is not None and not self._begin <= row < self._begin + _BLOCK:
            self._move_to(row - row % _BLOCK)
        self._rows[row - self._begin] = np.frombuffer(content, np.uint8)
        self._unwritten = True

    def __getitem__(self, rows: int | np.ndarray) -> np.ndarray:
        """One row, uint8 (width,), or several, uint8 (N, width)."""
        if self._file is None:
            return self._rows[rows]
        if not isinstance(rows, np.ndarray):
            return self._read(int(rows), 1)[0]
        if not len(rows):
            return np.zeros((0, self._width), np.uint8)
        wanted, places = np.unique(rows, return_inverse=True)
        begins = np.flatnonzero(np.diff(wanted, prepend=-2) != 1)
        runs = zip(begins.tolist(), [*begins[1:].tolist(), len(wanted)], strict=True)
        parts = [self._read(int(wanted[begin]), end - begin) for begin, end in runs]
        return np.concatenate(parts)[places]

    def _read(self, begin: int, number: int) -> np.ndarray:
        self._move_to(self._begin)
        if self._file is None:
            return self._rows[begin : begin + number]
        return self._read_back(self._file, begin, number)

    def _read_back(self, file: BinaryIO, begin: int, number: int) -> np.ndarray:
        """Rows of the file; zeros beyond its end."""
        file.seek(begin * self._width)
        content = file.read(number * self._width).ljust(number * self._width, b"\0")
        return np.frombuffer(content, np.uint8).reshape(number, self._width)

    def _move_to(self, begin: int) -> None:
        """Write the block, and have another one in memory; everything is from now on if there is no space."""
        file = self._file
        if file is None:
            return
        try:
            content = self._rows.tobytes() if self._unwritten else b""
            file.seek(self._begin * self._width)
            if file.write(content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._unwritten = False
        except OSError:
            block, self._file = self._rows, None
            self._rows = np.zeros((self._number, self._width), np.uint8)
            for first in range(0, self._number, _BLOCK):
                number = min(_BLOCK, self._number - first)
                self._rows[first : first + number] = self._read_back(file, first, number)
            number = min(_BLOCK, self._number - self._begin)
            self._rows[self._begin : self._begin + number] = block[:number]
            self._begin = 0
            return
        if begin != self._begin:
            self._begin, self._rows = begin, self._read_back(file, begin, _BLOCK).copy()


def unnamed_file() -> BinaryIO | None:
    """A file of the cache folder of which nothing is left when the process ends; None where none can be written."""
    with contextlib.suppress(OSError, ResourceError):
        # Without a buffer, so that a disk that is full is noticed where there is still everything to be kept.
        return tempfile.TemporaryFile(prefix=TEMPORARY_PREFIX, dir=cache_folder(), buffering=0)  # type: ignore[return-value]
    return None


@contextlib.contextmanager
def spilled_folder() -> Iterator[Path]:
    """Yield a folder of the cache folder for files that other processes open by name; it is removed after the block.

    As long as this process runs, nobody clears it. If it is killed, `remove_spilled` of any other process clears it.

    Raises:
        ResourceError: S601, the disk of the cache folder is full; S606, the cache folder cannot be written.
    """
    with scratch_folder(cache_folder()) as folder:
        lock = shared_lock(folder, new=True)
        try:
            yield folder
        finally:
            if lock is not None:
                lock.release()


def remove_spilled() -> None:
    """Remove what killed processes left in the cache folder; what cannot be removed is in nobody's way."""
    with contextlib.suppress(OSError, ResourceError):
        remove_leftovers(cache_folder(), unknown=False)
