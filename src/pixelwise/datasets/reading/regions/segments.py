"""Stored values of any rectangle of a TIFF page: only the tiles or strips that it touches are decoded.

Decoding is tifffile's. Decoded tiles and strips are kept, the latest used ones, up to a number of bytes; of strips that
are not compressed, only the wanted values are read.
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pixelwise.datasets.reading.tiff import JPEG
from pixelwise.errors import DataError
from pixelwise.storage import printable

if TYPE_CHECKING:
    from tifffile import TiffPage

LARGEST_SEGMENT = 1 << 28
"""Largest accepted size of a decoded tile or strip in bytes."""
_IN_TILES = (
    "store it in tiles, with one image per file: gdal_translate -co TILED=YES -co COMPRESS=DEFLATE -co BIGTIFF=YES IN "
    "OUT.tif"
)
_UNCOMPRESSED = 1
_PLAIN_BITS = (8, 16, 32, 64)
_COMPLEX = 5


class SegmentCache:
    """Decoded tiles and strips, the latest used ones.

    Args:
        most: Number of bytes up to which they are kept.

    Attributes:
        size: Number of bytes that are kept now.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[int, ...], np.ndarray] = OrderedDict()
        self.size = 0

    def has(self, key: tuple[int, ...]) -> bool:
        """Whether the segment of a key is kept."""
        return key in self._kept

    def get(self, key: tuple[int, ...], decode: Callable[[], np.ndarray]) -> np.ndarray:
        """The segment of a key, decoded if it is not kept."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        found = decode()
        # Room is made before: this one is kept, whatever its size.
        while self._kept and self.size + found.nbytes > self._most:
            self.size -= self._kept.popitem(last=False)[1].nbytes
        self._kept[key] = found
        self.size += found.nbytes
        return found


class Rectangle(NamedTuple):
    """A part of an image.

    Attributes:
        top: Index of the first row.
        left: Index of the first column.
        height: Number of rows.
        width: Number of columns.
    """

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """The row after the last one."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """The column after the last one."""
        return self.left + self.width


class PageSegments:
    """Reads rectangles of one page of a TIFF file as they are stored.

    Args:
        path: The file, for messages.
        page: The page, of a file that stays open.
        cache: Decoded segments, which several pages may share.
        file: Number of the file among those that share the cache.
        expect: Receives position and number of bytes of everything that a read needs, before it begins.

    Attributes:
        size: (height, width) as stored.
        channels: Number of values of a pixel.
        dtype: Type of the values, in the byte order of this machine.
        part: (height, width) of the tiles or strips.

    Raises:
        DataError: D121, the page is volumetric, or a tile or compressed strip of it is too large.
        ValueError: The page has fewer tiles or strips than its size needs.
    """

    def __init__(
        self,
        path: Path,
        page: TiffPage,
        cache: SegmentCache,
        file: int = 0,
        expect: Callable[[Iterable[tuple[int, int]]], None] | None = None,
    ) -> None:
        self._path, self._page, self._cache, self._file, self._expect = path, page, cache, file, expect
        self._planes, depth, height, width, self._samples = (int(length) for length in page.shaped)
        self.size = (height, width)
        self.channels = self._planes * self._samples
        self.dtype = np.dtype(page.dtype).newbyteorder("=")
        part = (page.tilelength, page.tilewidth) if page.is_tiled else (min(page.rowsperstrip, height), width)
        self.part = (max(int(part[0]), 1), max(int(part[1]), 1))
        self._down, self._across = (-(-whole // one) for whole, one in zip(self.size, self.part, strict=True))
        self._plain = _is_plain(page)
        self._refuse(depth)

    def read(self, where: Rectangle) -> np.ndarray:
        """Stored values (height, width, channels) of a rectangle within the page."""
        found = np.empty((self._planes, where.height, where.width, self._samples), self.dtype)
        rows = range(where.top // self.part[0], -(-where.bottom // self.part[0]))
        columns = range(where.left // self.part[1], -(-where.right // self.part[1]))
        places = list(itertools.product(range(self._planes), rows, columns))
        if self._expect is not None:
            self._expect(one for place in places for one in self._stored_at(where, place))
        for place in places:
            self._copy(found[place[0]], where, place)
        return found[0] if self._planes == 1 else np.moveaxis(found[..., 0], 0, 2)

    def is_stored(self, where: Rectangle) -> bool:
        """Whether any tile or strip of a rectangle is stored; those of a sparse file need not be."""
        rows = range(where.top // self.part[0], -(-where.bottom // self.part[0]))
        columns = range(where.left // self.part[1], -(-where.right // self.part[1]))
        return not all(
            self._is_empty((plane * self._down + row) * self._across + column)
            for plane, row, column in itertools.product(range(self._planes), rows, columns)
        )

    def _stored_at(self, where: Rectangle, place: tuple[int, int, int]) -> Iterator[tuple[int, int]]:
        """Position and number of bytes in the file of what a rectangle needs of a segment, unless it is kept."""
        plane, row, column = place
        number = (plane * self._down + row) * self._across + column
        if self._is_empty(number) or self._cache.has(self._key(number)):
            return
        begin = int(self._page.dataoffsets[number])
        if not self._plain:
            yield begin, int(self._page.databytecounts[number])
            return
        pixel, top = self._samples * self.dtype.itemsize, row * self.part[0]
        for line in range(max(where.top, top) - top, min(where.bottom, top + self.part[0]) - top):
            yield begin + (line * self.size[1] + where.left) * pixel, where.width * pixel

    def _key(self, number: int) -> tuple[int, int, int]:
        return self._file, int(self._page.offset), number

    def _copy(self, target: np.ndarray, where: Rectangle, place: tuple[int, int, int]) -> None:
        """Copy what a segment and a rectangle share into the rectangle's values (height, width, samples)."""
        plane, row, column = place
        number = (plane * self._down + row) * self._across + column
        top, left = row * self.part[0], column * self.part[1]
        first, last = max(where.top, top), min(where.bottom, top + self.part[0])
        begin, end = max(where.left, left), min(where.right, left + self.part[1])
        into = target[first - where.top : last - where.top, begin - where.left : end - where.left]
        if self._is_empty(number):
            into[...] = self._page.keyframe.nodata
        elif self._plain:
            self._read_rows(into, number, first - top, begin)
        else:
            segment = self._cache.get(self._key(number), lambda: self._decoded(number))
            into[...] = segment[first - top : last - top, begin - left : end - left]

    def _is_empty(self, number: int) -> bool:
        """Whether a segment of a sparse file is not stored."""
        return not (self._page.dataoffsets[number] and self._page.databytecounts[number])

    def _read_rows(self, into: np.ndarray, number: int, row: int, column: int) -> None:
        """Read values from an uncompressed strip, beginning at a row of it and a column."""
        handle = self._page.parent.filehandle
        size, stored = self._samples * self.dtype.itemsize, self.dtype.newbyteorder(self._page.parent.byteorder)
        begin = self._page.dataoffsets[number] + (row * self.size[1] + column) * size
        for line in range(into.shape[0]):
            handle.seek(begin + line * self.size[1] * size)
            content = handle.read(into.shape[1] * size)
            if len(content) != into.shape[1] * size:
                raise ValueError(f"strip {number} ends beyond the end of the file")
            into[line] = np.frombuffer(content, stored).reshape(into.shape[1:])

    def _decoded(self, number: int) -> np.ndarray:
        """The values (rows, columns, samples) of a segment."""
        page = self._page
        handle, keyframe = page.parent.filehandle, page.keyframe
        handle.seek(page.dataoffsets[number])
        content = handle.read(page.databytecounts[number])
        tables: dict[str, Any] = {}
        if keyframe.compression in JPEG:
            tables = {"jpegtables": page.jpegtables, "jpegheader": keyframe.jpegheader}
        values = keyframe.decode(content, number, **tables)[0]
        if values is None:
            raise ValueError(f"tile or strip {number} has no content")
        # Tiles at the border may end with the image.
        lacking = [max(0, one - have) for one, have in zip(self._needed(number), values.shape[1:3], strict=True)]
        if any(lacking):
            raise ValueError(f"tile or strip {number} has {values.shape[1]}x{values.shape[2]} pixels")
        return np.ascontiguousarray(values[0])

    def _needed(self, number: int) -> tuple[int, int]:
        """Rows and columns of the image that a segment holds."""
        row, column = number // self._across % self._down, number % self._across
        return (
            min(self.part[0], self.size[0] - row * self.part[0]),
            min(self.part[1], self.size[1] - column * self.part[1]),
        )

    def _refuse(self, depth: int) -> None:
        page, kind = self._page, "tiles" if self._page.is_tiled else "strips"
        size = math.prod(self.part) * self._samples * self.dtype.itemsize
        if depth != 1:
            raise not_in_parts(self._path, f"it has {depth} layers")
        if size > LARGEST_SEGMENT and not self._plain:
            height, width = self.part
            raise not_in_parts(
                self._path,
                f"it is stored in {kind} of {width}x{height} pixels, {size / 1e6:.0f} MB each; expected at most "
                f"{LARGEST_SEGMENT / 1e6:.0f} MB",
            )
        needed = self._planes * self._down * self._across
        if (found := min(len(page.dataoffsets), len(page.databytecounts))) < needed:
            raise ValueError(f"it lists {found} {kind}; its size needs {needed}")


def not_in_parts(path: Path, reason: str, help: str = _IN_TILES) -> DataError:
    """D121: the image is too large to be decoded whole, and cannot be read in parts; `help` is a way out of it."""
    return DataError(
        "D121",
        f"{printable(path)}: too large to be decoded whole, and cannot be read in parts: {reason}",
        f"{help}; or set data.max_pixels to its number of pixels if there is the memory for it",
    )


def _is_plain(page: TiffPage) -> bool:
    """Whether the values lie in strips as they are in memory, but for the order of their bytes."""
    return (
        not page.is_tiled
        and page.compression == _UNCOMPRESSED
        and page.predictor == 1
        and page.fillorder == 1
        and page.bitspersample in _PLAIN_BITS
        and page.sampleformat != _COMPLEX
    )
