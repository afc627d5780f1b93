"""Many arrays of any shape and dtype in one memory-mapped file; processes share the pages they read.

The file consists of a header (magic number, position, length and checksum of the index), the arrays one after the
other, and the index. Opening the file checks that it is complete; reading an array for the first time checks that it
is undamaged.
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
"""Magic number; offset, length and CRC-32 of the index."""
_ALIGNMENT = 64


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """Offset, dtype, shape and CRC-32 of an array."""

    offset: int
    dtype: str
    shape: tuple[int, ...]
    checksum: int


class _Index(msgspec.Struct, frozen=True):
    about: dict[str, Any]
    rows: list[list[_Place]]


class DamagedArrayError(Exception):
    """The content of an array does not match its checksum."""


class ArrayFile:
    """The rows of a file written by `write_arrays`, each a tuple of arrays; usable from any thread or forked process.

    A process that receives it pickled maps the file again.

    Attributes:
        about: The facts that were stored with the arrays.

    Raises:
        ValueError: The file is incomplete, damaged or of another kind.
        OSError: The file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():  # opening a named pipe would block forever
            raise ValueError(f"{path} is not a file")
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
        """The arrays of a row: read-only views into the file, without copying.

        Raises:
            DamagedArrayError: An array does not match its checksum.
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
        path: File to write; its folder is created if missing.
        rows: Consumed one at a time, so they need not fit into memory together.
        about: Facts to store with the arrays.

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
        # The header comes last: without it the file is not valid.
        file.seek(0)
        file.write(_HEADER.pack(MAGIC, start, len(index), zlib.crc32(index)))


def _read_index(file: BinaryIO, path: Path) -> tuple[dict[str, Any], list[list[_Place]]]:
    """The facts stored in the file, and the places of its rows.

    Raises:
        ValueError: See `ArrayFile`.
    """
    header = file.read(_HEADER.size)
    size = os.fstat(file.fileno()).st_size
    magic, start, length, checksum = _HEADER.unpack(header.ljust(_HEADER.size, b"\0"))
    if magic != MAGIC or start + length != size:
        raise ValueError(f"{path} is not an array file, or is incomplete")
    file.seek(start)
    index = file.read(length)
    if zlib.crc32(index) != checksum:
        raise ValueError(f"{path} has a damaged index")
    decoded = msgspec.msgpack.decode(index, type=_Index)
    return decoded.about, decoded.rows
