"""Interlaced PNG files row by row: the seven images that they consist of are set apart in a file first.

Each pass holds some rows and columns of the image, and all of it lies before the next one. Once the rows of all passes
lie in a file, where nothing is compressed, the rows of the image are put together from top to bottom.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from pixelwise.datasets.reading.files import errors_explained
from pixelwise.datasets.reading.regions.png_strips import DAMAGED, PngHeader, small_file, small_files, stored_rows
from pixelwise.recipes.sizes import Size

_GRID = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""First row and column of each pass, and the steps from one of its rows and columns to the next."""


class _Pass(NamedTuple):
    """A pass that has pixels.

    Attributes:
        top: Its first row.
        left: Its first column.
        down: Rows of the image from one of its rows to the next.
        across: Columns of the image from one of its columns to the next.
        size: (height, width) of its pixels.
    """

    top: int
    left: int
    down: int
    across: int
    size: Size


def strip_files(path: Path, stream: BinaryIO, header: PngHeader, rows: int, passes: BinaryIO | None) -> Iterator[bytes]:
    """The pixels of any PNG file as PNG files of at most some rows, from top to bottom.

    Args:
        path: The file, for messages.
        stream: The file, as `read_header` leaves it.
        header: Its header.
        rows: Largest number of rows of a small file.
        passes: Empty file that holds the pixels of an interlaced file meanwhile; None if it is not interlaced.

    Raises:
        DataError: D101, the file is truncated or damaged; D131, it cannot be read. What goes wrong with `passes` is no
            fault of the file: OSError.
    """
    if passes is not None:
        found = pass_rows(stream, header, rows)
        while True:
            with errors_explained(path, DAMAGED):
                some = next(found, None)
            if some is None:
                break
            passes.write(some.tobytes())
    files = small_files(stream, header, rows) if passes is None else joined_files(passes, header, rows)
    while True:
        with errors_explained(path, DAMAGED):
            one = next(files, None)
        if one is None:
            return
        yield one


def pass_rows(stream: BinaryIO, header: PngHeader, rows: int) -> Iterator[np.ndarray]:
    """The rows of all passes of an interlaced file, one pass after the other: bytes of packed pixels uint8 (n, B).

    Args:
        stream: The file, as `read_header` leaves it.
        header: Its header.
        rows: Largest number of rows at a time.

    Raises:
        ValueError: The file is truncated or damaged.
        zlib.error: Its compressed data is damaged.
    """
    return stored_rows(stream, header, [one.size for one in _passes(header.size)], rows)


def joined_files(passes: BinaryIO, header: PngHeader, rows: int) -> Iterator[bytes]:
    """The pixels of an interlaced PNG file as PNG files of at most some rows, from top to bottom.

    Args:
        passes: A file of what `pass_rows` gives, one after the other.
        header: Header of the interlaced file.
        rows: Largest number of rows of a small file.
    """
    (height, width), bits = header.size, header.bits
    for top in range(0, height, rows):
        number = min(rows, height - top)
        pixels = np.zeros((number, width, max(1, bits // 8)), np.uint8)
        begin = 0
        for one in _passes(header.size):
            length = header.bytes_of(one.size[1])
            first, last = (max(0, -(-(row - one.top) // one.down)) for row in (top, top + number))
            first, last = min(first, one.size[0]), min(last, one.size[0])
            passes.seek(begin + first * length)
            packed = np.frombuffer(passes.read((last - first) * length), np.uint8).reshape(last - first, length)
            at = one.top + first * one.down - top
            pixels[at :: one.down, one.left :: one.across] = _unpacked(packed, one.size[1], bits)
            begin += one.size[0] * length
        yield small_file(header, _packed(pixels, bits))


def _passes(size: Size) -> list[_Pass]:
    """The passes of an image that have pixels: small ones have none in some of them."""
    height, width = size
    found = (
        _Pass(top, left, down, across, (-(-(height - top) // down), -(-(width - left) // across)))
        for top, left, down, across in _GRID
    )
    return [one for one in found if min(one.size) > 0]


def _unpacked(rows: np.ndarray, width: int, bits: int) -> np.ndarray:
    """Rows of packed pixels, uint8 (n, B), as bytes of single pixels, uint8 (n, width, bytes)."""
    if bits >= 8:
        return rows.reshape(len(rows), width, bits // 8)
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    values = (rows[..., None] >> shifts) & np.uint8((1 << bits) - 1)
    return values.reshape(len(rows), rows.shape[1] * (8 // bits), 1)[:, :width]


def _packed(pixels: np.ndarray, bits: int) -> np.ndarray:
    """The inverse of `_unpacked`."""
    number, width = pixels.shape[:2]
    if bits >= 8:
        return pixels.reshape(number, -1)
    every = 8 // bits
    whole = np.pad(pixels[..., 0], ((0, 0), (0, -width % every))).reshape(number, -1, every)
    return np.bitwise_or.reduce(whole << np.arange(8 - bits, -1, -bits, dtype=np.uint8), axis=2)
