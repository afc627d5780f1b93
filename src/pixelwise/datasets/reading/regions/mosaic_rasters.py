"""The stored values of mosaics, put together from those of their sources as rectangles are asked for."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelwise.datasets.reading.decoding import GREY_BITS, decode
from pixelwise.datasets.reading.georeference import Georeference, MissingPixels, placement_of, read_georeference
from pixelwise.datasets.reading.regions.mosaics import Mosaic, Piece, equal_to, read_mosaic, unsupported
from pixelwise.datasets.reading.regions.rasters import TiffRaster, Values
from pixelwise.datasets.reading.regions.segments import Rectangle, SegmentCache
from pixelwise.datasets.reading.regions.systems import map_system, placed, system_tags
from pixelwise.datasets.reading.tiff import BLACK_IS_ZERO, PALETTE, RGB, WHITE_IS_ZERO, Alpha, StoredTiff, is_tiff
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError
from pixelwise.storage import printable
from pixelwise.storage.documents import is_regular
from pixelwise.storage.names import counted

MOST_OPEN = 64
"""Number of files of sources that are open at the same time; a process may usually open 1024."""
_WHOLE = -1
"""Number of the only segment of a file that is decoded whole."""
_KEY_TAGS = (34735, 34736, 34737)
_COLORS = ("Red", "Green", "Blue")
_PART: tuple[int, int] = (512, 512)
"""(height, width) of the parts in which a mosaic is best read, whatever its images are."""
_READABLE = ("L", "LA", "RGB", "RGBA", "P", "I;16", "I;16L", "I;16B")
"""Pillow's modes whose values are those that the file stores."""
_UNPACKED = (*GREY_BITS, "1", "L;1", "P;1", "P;2", "P;4")


class MosaicRaster:
    """A mosaic of GDAL; see `Raster`. Its sources are opened when they are needed.

    Args:
        path: The file of the mosaic.
        cache: Decoded parts of the sources.
        closing: Closes what is open at the end.
        reading: Reading options; `max_pixels` is applied to sources that have to be decoded whole, such as PNG files.

    Raises:
        DataError: As `read_mosaic`; D131, sources are missing.
    """

    def __init__(self, path: Path, cache: SegmentCache, closing: contextlib.ExitStack, reading: Reading) -> None:
        self._path, self._mosaic = path, read_mosaic(path)
        self._sources = _Sources(path, self._mosaic, cache, closing, reading.max_pixels)
        self._pieces = [self._sources.sized(piece, self._mosaic.size) for piece in self._mosaic.pieces]
        sides = [(*piece.target, *(piece.size or self._mosaic.size)) for piece in self._pieces]
        self._places = np.array(sides, np.int64).reshape(-1, 4)
        self.size, self.dtype, self.bands = self._mosaic.size, self._mosaic.dtype, len(self._mosaic.bands)
        self.orientation, self.animated, self.part = 1, False, _PART
        self._colors, self._palette = self._photometric(), None
        palette = self._mosaic.bands[0].palette
        if self._colors == PALETTE and palette is not None and self.dtype.kind == "u" and self.dtype.itemsize <= 2:
            count = 1 << 8 * self.dtype.itemsize
            self._palette = np.pad(palette, ((0, max(0, count - len(palette))), (0, 0)))

    def read(self, where: Rectangle) -> Values:
        """Stored values of a rectangle within the mosaic."""
        found = np.empty((where.height, where.width, self.bands), self.dtype)
        for number, band in enumerate(self._mosaic.bands):
            found[..., number] = _stored(band.fill, self.dtype)
        covered = np.zeros(found.shape[:2], bool)
        for number in self._touched(where):
            self._paint(self._pieces[number], where, found, covered)
        missing = None if covered.all() else ~covered
        nodata = self._nodata(found) if self._mosaic.affine is not None else None
        return Values(found, missing if nodata is None else nodata if missing is None else missing | nodata)

    def is_stored(self, where: Rectangle) -> bool:
        """Whether any source lies in a rectangle."""
        return bool(self._touched(where).size)

    def described(self, values: np.ndarray) -> StoredTiff:
        """Stored values (h, w, C) with what the mosaic says about them."""
        last = self._mosaic.bands[-1].color
        alpha: Alpha = "straight" if last == "Alpha" and self.bands == self._colors_in_front() + 1 else "none"
        return StoredTiff(
            values=values,
            photometric=self._colors,
            alpha=alpha,
            bits=8 * self.dtype.itemsize,
            palette=self._palette,
            orientation=1,
            further=None,
            is_lossy=False,
        )

    def place(self) -> tuple[Georeference | None, MissingPixels | None]:
        """Position on the map; what is missing is known with the values.

        Raises:
            ValueError: The coordinate system has no code of EPSG, and the first source has no other description of it.
        """
        if self._mosaic.affine is None:
            return None, None
        keys = self._keys() if self._mosaic.system else ()
        return placed(self._mosaic.affine, keys), None

    def _touched(self, where: Rectangle) -> np.ndarray:
        """Numbers of the pieces that lie in a rectangle, in their order."""
        top, left, height, width = self._places.T
        below, beside = top < where.bottom, left < where.right
        return np.flatnonzero(below & beside & (top + height > where.top) & (left + width > where.left))

    def _paint(self, piece: Piece, where: Rectangle, found: np.ndarray, covered: np.ndarray) -> None:
        """Copy what a piece and a rectangle share."""
        height, width = piece.size or self.size
        (top, left), (down, across) = piece.target, piece.source
        first, last = max(where.top, top), min(where.bottom, top + height)
        begin, end = max(where.left, left), min(where.right, left + width)
        wanted = Rectangle(first - top + down, begin - left + across, last - first, end - begin)
        source = self._sources.read(piece, wanted)
        if source is None:
            return
        inside, values, opaque = source
        rows = slice(inside.top - wanted.top + first - where.top, inside.bottom - wanted.top + first - where.top)
        columns = slice(inside.left - wanted.left + begin - where.left, inside.right - wanted.left + begin - where.left)
        for layer in piece.layers:
            channel = values[..., layer.channel]
            taken = np.ones(channel.shape, bool) if layer.nodata is None else ~equal_to(channel, layer.nodata)
            if layer.masked and opaque is not None:
                taken &= opaque
            if layer.constant is not None:
                channel = np.full(channel.shape, _stored(layer.constant, self.dtype))
            np.copyto(found[rows, columns, layer.band], channel, where=taken, casting="same_kind")
            covered[rows, columns] |= taken

    def _nodata(self, values: np.ndarray) -> np.ndarray | None:
        """Pixels bool (h, w) whose bands all have their value for missing data, or that are transparent.

        None if the mosaic says of no values that they are missing.
        """
        first, transparent, lacking = self._colors_in_front(), None, None
        marked = [band.nodata is not None for band in self._mosaic.bands if band.color != "Alpha"]
        for number, band in enumerate(self._mosaic.bands):
            if number >= first and band.color == "Alpha":
                seen = values[..., number] == 0
                transparent = seen if transparent is None else transparent | seen
            elif band.nodata is not None and all(marked):
                same = equal_to(values[..., number], band.nodata)
                lacking = same if lacking is None else lacking & same
        return lacking if transparent is None else transparent if lacking is None else lacking | transparent

    def _colors_in_front(self) -> int:
        return 3 if self._colors == RGB else 1

    def _photometric(self) -> int:
        """TIFF's number for what the bands are."""
        names = [band.color for band in self._mosaic.bands]
        if names[0] == "Palette":
            return PALETTE
        unnamed = len(names) >= len(_COLORS) and not any(names)
        return RGB if unnamed or tuple(names[:3]) == _COLORS else BLACK_IS_ZERO

    def _keys(self) -> tuple:
        """The tags that describe the coordinate system: those of the first source if it is the same one."""
        system, place = map_system(self._mosaic.system), self._sources.first_place()
        placement = None if place is None else placement_of(place)
        tags = () if place is None else tuple(tag for tag in place.tags if tag[0] in _KEY_TAGS)
        epsg = None if placement is None else placement.epsg
        if system is None:
            if not tags or epsg is not None:
                raise ValueError("its coordinate system has no code of EPSG")
            return tags
        return tags if system.code == epsg else system_tags(system)


class _Found(NamedTuple):
    """What a source has of a rectangle.

    Attributes:
        where: The part of the rectangle that the source has.
        values: Its stored values (h, w, C).
        opaque: What the source does not mark as missing, bool (h, w); None if it marks nothing.
    """

    where: Rectangle
    values: np.ndarray
    opaque: np.ndarray | None


class _Sources:
    """The files of a mosaic, of which the latest used ones are open."""

    def __init__(
        self, path: Path, mosaic: Mosaic, cache: SegmentCache, closing: contextlib.ExitStack, max_pixels: int
    ) -> None:
        self._path, self._files, self._dtype = path, mosaic.files, mosaic.dtype
        self._cache, self._max_pixels = cache, max_pixels
        self._open: OrderedDict[int, tuple[TiffRaster, contextlib.ExitStack]] = OrderedDict()
        closing.callback(self._close)
        missing = [file for file in self._files if not is_regular(file)]
        if missing:
            raise DataError(
                "D131",
                f"{printable(path)}: {len(missing)} of the {counted(len(self._files), 'image')} of the mosaic are "
                f"missing, the first one {printable(missing[0])}",
                "put them back, or make the mosaic again: gdalbuildvrt MOSAIC.vrt TILES...",
            )

    def read(self, piece: Piece, where: Rectangle) -> _Found | None:
        """What the source of a piece has of a rectangle of it; None if that is nothing."""
        raster = self._raster(piece.file)
        whole = None if raster is not None else self._decoded(piece.file)
        height, width = raster.size if raster is not None else whole.shape[:2]  # type: ignore[union-attr]  # one is there
        top, left = max(where.top, 0), max(where.left, 0)
        inside = Rectangle(top, left, min(where.bottom, height) - top, min(where.right, width) - left)
        if min(inside.height, inside.width) <= 0:
            return None
        masked = any(layer.masked for layer in piece.layers)
        if raster is not None:
            values = raster.read(inside).values
            opaque = raster.opaque(inside, values) if masked else None
        else:
            values = whole[inside.top : inside.bottom, inside.left : inside.right]  # type: ignore[index]
            opaque = values[..., -1] != 0 if masked and values.shape[2] in (2, 4) else None
        asked = max(layer.channel for layer in piece.layers)
        if asked >= values.shape[2]:
            raise unsupported(
                self._path,
                f"it shows band {asked + 1} of {printable(self._files[piece.file])}, which has "
                f"{counted(values.shape[2], 'band')}",
            )
        return _Found(inside, values, opaque)

    def sized(self, piece: Piece, size: tuple[int, int]) -> Piece:
        """A piece with its size: a source without one fills the mosaic.

        Raises:
            DataError: D122, it has another size.
        """
        if piece.size is not None:
            return piece
        raster = self._raster(piece.file)
        own = raster.size if raster is not None else self._decoded(piece.file).shape[:2]
        if own != size:
            raise unsupported(self._path, f"{printable(self._files[piece.file])} is shown at another resolution")
        return piece._replace(size=size)

    def first_place(self) -> Georeference | None:
        """Position of the first source; None if it has none or is no TIFF file."""
        if not self._files or not is_tiff(self._files[0]):
            return None
        return read_georeference(self._files[0], is_tiff=True, pixels=False)

    def _raster(self, file: int) -> TiffRaster | None:
        """A source that can be read in parts; None for others."""
        if file in self._open:
            self._open.move_to_end(file)
            return self._open[file][0]
        path = self._files[file]
        if not is_tiff(path):
            return None
        while len(self._open) >= MOST_OPEN:
            self._open.popitem(last=False)[1][1].close()
        with contextlib.ExitStack() as closing:
            raster = TiffRaster(path, self._cache, closing, chosen=False, file=file)
            stored = raster.described(np.zeros((1, 1, raster.bands), raster.dtype))
            if stored.photometric == WHITE_IS_ZERO or (stored.bits < 8 and stored.photometric != PALETTE):
                raise unsupported(
                    self._path, f"{printable(path)} has values of fewer than 8 bits, or such of which 0 is white"
                )
            self._require_type(path, raster.dtype)
            self._open[file] = raster, closing.pop_all()
        return raster

    def _decoded(self, file: int) -> np.ndarray:
        """The values (H, W, C) of a source that is no TIFF file."""
        path = self._files[file]

        def decoded() -> np.ndarray:
            found = decode(path, max_pixels=self._max_pixels)
            mode, raw = found.image.mode, found.raw_mode
            if mode not in _READABLE or raw in _UNPACKED or ("16" in raw and not mode.startswith("I")):
                raise unsupported(self._path, f"the {found.format} file {printable(path)} has values of another kind")
            values = np.asarray(found.image)
            self._require_type(path, values.dtype)
            return values.reshape(*values.shape[:2], -1)

        return self._cache.get((file, _WHOLE), decoded)

    def _require_type(self, path: Path, dtype: np.dtype) -> None:
        if not np.can_cast(dtype, self._dtype, "safe"):
            raise unsupported(
                self._path,
                f"{printable(path)} has values of {dtype}, which {self._dtype} of the mosaic do not hold",
            )

    def _close(self) -> None:
        while self._open:
            self._open.popitem()[1][1].close()


def _stored(number: float, dtype: np.dtype) -> np.generic:
    """A number as a type stores it: whole and within its range if it is one of integers."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(number)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return dtype.type(0 if number != number else int(min(max(round(number, 0), low), high)))
