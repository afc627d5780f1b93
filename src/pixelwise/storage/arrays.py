"""Many arrays of any sizes and types in one file, memory-mapped: processes share the pages they read.

The file: magic number and length of the index, the arrays one after the other, the index. Whether it is whole
is seen when it is opened; whether an array is undamaged, when that is read for the first time.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from pixelwise.storage.atomic import writing

MAGIC = b"pixelarr"
_HEADER = struct.Struct("<8sQQI")
"""Magic number, where the index begins, its length, its CRC-32."""
_ALIGNMENT = 64


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """Where an array lies and what it is."""

    offset: int
    dtype: str
    shape: tuple[int, ...]
    checksum: int


class _Index(msgspec.Struct, frozen=True):
    about: dict[str, Any]
    rows: list[list[_Place]]


class DamagedArrayError(Exception):
    """An array is not what was written."""


class ArrayFile:
    """The rows of a file that `write_arrays` wrote; each is a tuple of arrays. Callable from any thread and fork.

    A process that gets it pickled maps the file anew.

    Args:
        path: The file.

    Attributes:
        about: What was said of it when it was written.

    Raises:
        ValueError: It is not whole, or something else.
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            self.about, self._rows = _read_index(file, path)
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._checked = bytearray(len(self._rows))
        self._path = path

    def __reduce__(self) -> tuple[type[ArrayFile], tuple[Path]]:
        return ArrayFile, (self._path,)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> tuple[np.ndarray, ...]:
        """The arrays of a row, read-only; nothing is copied.

        Raises:
            DamagedArrayError: They are not what was written.
        """
        arrays = tuple(self._array(place) for place in self._rows[row])
        if not self._checked[row]:
            for array, place in zip(arrays, self._rows[row], strict=True):
                if zlib.crc32(array.data) != place.checksum:
                    raise DamagedArrayError
            self._checked[row] = 1
        return arrays

    def _array(self, place: _Place) -> np.ndarray:
        return np.ndarray(place.shape, np.dtype(place.dtype), self._bytes, place.offset)


def write_arrays(path: Path, rows: Iterable[tuple[np.ndarray, ...]], about: dict[str, Any]) -> None:
    """Write `rows` to `path`, which appears complete or not at all.

    Args:
        path: The file; its folder is made.
        rows: Taken one at a time, so that they need not fit into memory.
        about: Facts to keep with them.

    Raises:
        ResourceError: S601, the disk is full.
    """
    places = []
    with writing(path) as temporary, open(temporary, "wb") as file:
        file.write(bytes(_ALIGNMENT))
        for row in rows:
            written = []
            for array in row:
                file.write(bytes(-file.tell() % _ALIGNMENT))
                array = np.asarray(array, order="C")
                written.append(_Place(file.tell(), array.dtype.str, array.shape, zlib.crc32(array.data)))
                file.write(array.data)
            places.append(written)
        index = msgspec.msgpack.encode(_Index(about, places))
        start = file.tell()
        file.write(index)
        # Last: without it the file is none.
        file.seek(0)
        file.write(_HEADER.pack(MAGIC, start, len(index), zlib.crc32(index)))


def _read_index(file: BinaryIO, path: Path) -> tuple[dict[str, Any], list[list[_Place]]]:
    """What the file is about and where its rows lie.

    Raises:
        ValueError: See `ArrayFile`.
    """
    header = file.read(_HEADER.size)
    size = os.fstat(file.fileno()).st_size
    magic, start, length, checksum = _HEADER.unpack(header.ljust(_HEADER.size, b"\0"))
    if magic != MAGIC or start + length != size:
        raise ValueError(f"{path} is no file of arrays, or not a whole one")
    file.seek(start)
    index = file.read(length)
    if zlib.crc32(index) != checksum:
        raise ValueError(f"{path} has a damaged index")
    decoded = msgspec.msgpack.decode(index, type=_Index)
    return decoded.about, decoded.rows
