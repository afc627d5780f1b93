"""Masks as tiled TIFF files with overviews, written from rows that come from top to bottom and are not kept.

The tiles of every resolution are compressed as soon as their rows are complete, and wait in a temporary file. So a
mask of any size needs the memory of one row of tiles per resolution, and the disk space of the file twice.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pixelwise.datasets.reading.georeference import NODATA_TAG
from pixelwise.recipes.sizes import Size
from pixelwise.storage import writing
from pixelwise.storage.atomic import full_disk_explained

TILE = 512
"""Height and width of a tile."""
_CLASSIC_BYTES = (1 << 32) - (1 << 27)
"""Size up to which a file is an ordinary TIFF file; larger ones are BigTIFF files."""
_REDUCED = 1

Tag = tuple[int, int | str, int, Any, bool]
"""A tag as tifffile writes it: (code, type, count, value, write once)."""


class Look(NamedTuple):
    """How the values of a mask are shown.

    Attributes:
        dtype: Type of the values.
        channels: 1, or 3 for colours, or the number of bands.
        colors: uint8 (256, 3) colour of each value; None if values are shown as grey or are colours.
        nodata: Value of ignored pixels, which is declared as missing data; None if there is none.
        bands: Whether channels are bands instead of colours.
        tile: Height and width of a tile.
    """

    dtype: np.dtype
    channels: int = 1
    colors: np.ndarray | None = None
    nodata: int | None = None
    bands: bool = False
    tile: int = TILE


class MaskPyramid:
    """A mask that is written row by row.

    Args:
        size: (height, width) of the mask.
        look: Type and colours of its values.
        scratch: Folder for temporary files.
    """

    def __init__(self, size: Size, look: Look, scratch: Path) -> None:
        self._size, self._look, self._scratch = size, look, scratch
        self._levels = [_Level(one, look, scratch, number) for number, one in enumerate(level_sizes(size, look.tile))]
        self._rows = 0

    def add(self, values: np.ndarray) -> None:
        """Add the next rows.

        Args:
            values: Values (R, W), colours (R, W, 3) or bands (R, W, C).

        Raises:
            ResourceError: S601, the disk is full.
        """
        first = self._rows
        self._rows += len(values)
        with full_disk_explained(self._scratch):
            for level in self._levels:
                level.add(values)
                # Each resolution shows every second row and column of the one before.
                values, first = values[first % 2 :: 2, ::2], -(-first // 2)

    def write(self, path: Path, tags: Sequence[Tag] = ()) -> None:
        """Write the file once all rows were added.

        Args:
            path: The file, which appears complete or not at all.
            tags: GeoTIFF tags.

        Raises:
            ResourceError: S601, the disk is full.
        """
        import tifffile

        if self._rows != self._size[0]:
            raise ValueError(f"{self._rows} rows were added; expected {self._size[0]}")
        for level in self._levels:
            level.finish()
        total = sum(level.bytes for level in self._levels)
        nodata = self._look.nodata
        missing = [] if nodata is None else [(NODATA_TAG, "s", 0, str(nodata), True)]
        with writing(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=total > _CLASSIC_BYTES) as file:
            for number, level in enumerate(self._levels):
                file.write(
                    level.tiles(),
                    shape=level.shape,
                    dtype=self._look.dtype,
                    tile=(self._look.tile, self._look.tile),
                    photometric=self._photometric,
                    planarconfig="contig" if self._look.channels > 1 else None,
                    colormap=self._colormap,
                    compression="zlib",
                    subfiletype=_REDUCED if number else 0,
                    metadata=None,
                    extratags=[*(() if number else tags), *missing],
                )

    def close(self) -> None:
        """Remove the temporary files."""
        for level in self._levels:
            level.close()

    @property
    def _photometric(self) -> str:
        if self._look.channels == 3 and not self._look.bands:
            return "rgb"
        return "minisblack" if self._look.colors is None else "palette"

    @property
    def _colormap(self) -> np.ndarray | None:
        return None if self._look.colors is None else self._look.colors.astype(np.uint16).T * np.uint16(257)


class _Level:
    """One resolution of a mask: complete rows of tiles are compressed into a file."""

    def __init__(self, size: Size, look: Look, scratch: Path, number: int) -> None:
        self.shape = size if look.channels == 1 else (*size, look.channels)
        self.bytes = 0
        self._tile = look.tile
        self._across = -(-size[1] // self._tile)
        self._buffer = np.zeros((self._tile, self._across * self._tile, *self.shape[2:]), look.dtype)
        self._filled, self._lengths = 0, list[int]()
        self._path = scratch / f"{id(self)}-{number}"
        self._file = open(self._path, "w+b")  # noqa: SIM115 (closed by `close`)

    def add(self, values: np.ndarray) -> None:
        """Add rows, and compress the tiles that are complete."""
        while len(values):
            rows = values[: self._tile - self._filled]
            self._buffer[self._filled : self._filled + len(rows), : self.shape[1]] = rows
            self._filled += len(rows)
            values = values[len(rows) :]
            if self._filled == self._tile:
                self.finish()

    def finish(self) -> None:
        """Compress the tiles of the rows that were added last."""
        if not self._filled:
            return
        self._buffer[self._filled :] = 0
        self._filled = 0
        for column in range(self._across):
            tile = self._buffer[:, column * self._tile : (column + 1) * self._tile]
            content = zlib.compress(tile.tobytes(), 6)
            self._lengths.append(len(content))
            self.bytes += len(content)
            self._file.write(content)

    def tiles(self) -> Iterator[bytes]:
        """The compressed tiles in their order."""
        self._file.seek(0)
        for length in self._lengths:
            yield self._file.read(length)

    def close(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


def level_sizes(size: Size, tile: int = TILE) -> list[Size]:
    """(height, width) of a mask and of its overviews, each half as large, until one tile holds it."""
    found = [size]
    while max(found[-1]) > tile:
        height, width = found[-1]
        found.append((-(-height // 2), -(-width // 2)))
    return found
