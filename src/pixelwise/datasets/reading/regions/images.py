"""Rectangles of TIFF images and mosaics in the normal form, equal to those of the image that is decoded whole.

Every step from stored values to the normal form concerns single pixels, so that it can be applied to any rectangle.
Only the orientation concerns the whole image: rectangles are given in the upright image and read where they are stored.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelwise.datasets.reading.bands import pixels_of_tiff
from pixelwise.datasets.reading.files import errors_explained, open_regular
from pixelwise.datasets.reading.georeference import Georeference, MissingPixels
from pixelwise.datasets.reading.limits import require_room, too_many_pixels, within_memory
from pixelwise.datasets.reading.orientation import turned_upright, upright_size
from pixelwise.datasets.reading.regions.mosaic_rasters import MosaicRaster
from pixelwise.datasets.reading.regions.mosaics import is_mosaic, read_mosaic
from pixelwise.datasets.reading.regions.rasters import Raster, TiffRaster, Values
from pixelwise.datasets.reading.regions.segments import Rectangle, SegmentCache
from pixelwise.datasets.reading.tiff import DAMAGED, first_page, is_tiff
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError
from pixelwise.recipes.sizes import Size
from pixelwise.storage import printable

KEPT_BYTES = 1 << 27
"""Number of bytes of decoded tiles and strips that are kept of an open image."""
_PROBE = 256


class Region(NamedTuple):
    """A rectangle of an image.

    Attributes:
        pixels: uint8 (h, w, 3), or (h, w, C) of the selected channels, upright; not to be written to.
        missing: Pixels without data, bool (h, w); None if there are none, or if the file has no position on the map.
            Where no image of a mosaic lies, pixels are missing in any case.
    """

    pixels: np.ndarray
    missing: np.ndarray | None = None


class ImageRegions:
    """A TIFF image or a mosaic whose rectangles are read when they are asked for. It may be used by several threads.

    Args:
        path: TIFF, BigTIFF or cloud-optimized GeoTIFF file, in tiles or strips; or a mosaic of GDAL (`.vrt`).
        reading: Options for reading; `max_pixels` is applied only to images of a mosaic that are no TIFF files.
        kept_bytes: Number of bytes of decoded tiles and strips that are kept.

    Attributes:
        path: The file.
        size: (height, width), upright unless `reading.exif` is `ignore`.
        place: Position on the map without pixels; None if there is none.
        lost: The reason why the position is not kept; empty if it is, or if there is none.
        animated: Whether the file holds further images, which are not read.
        bands: Number of channels that are stored.
        dtype: Type of the stored values.
        orientation: Orientation that the file states, 1 (upright) to 8.
        rows: Height of the tiles or strips as they lie in the upright image; that of bands that suit a mosaic.
        transparent: Whether any pixel that was read until now is not opaque.
        ranged: Whether values that were read went through `data.input_range`.

    Raises:
        DataError: D101 damaged, D102 the raw data of a camera, D104 more than 8 bits and no `input_range`, D105 not an
            image, or bands that need `channels`; D106 a missing channel, D121 stored in a way that cannot be read in
            parts, D122 a mosaic with something that is not supported, D131 unreadable.
    """

    def __init__(self, path: Path, reading: Reading, kept_bytes: int = KEPT_BYTES) -> None:
        self.path, self._reading = path, reading
        self._cache, self._lock = SegmentCache(kept_bytes), threading.Lock()
        self._closing = contextlib.ExitStack()
        self.transparent = self.ranged = False
        try:
            self._raster = self._opened()
            self.bands, self.dtype, self.animated = self._raster.bands, self._raster.dtype, self._raster.animated
            self.orientation = self._raster.orientation
            self._orientation = self.orientation if reading.exif == "apply" else 1
            self.rows = self._raster.part[0 if self._orientation < 5 else 1]
            self.size = upright_size(self._raster.size, self._orientation)
            self._place()
            self._probe()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ImageRegions:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing can be read afterwards."""
        self._closing.close()

    def read(self, where: Rectangle) -> Region:
        """The pixels of a rectangle that lies within the image.

        Raises:
            DataError: As for the whole image.
        """
        stored = stored_rectangle(where, self.size, self._orientation)
        if where.height * where.width > 1 and not self._is_stored(stored):
            # All pixels are equal: one of them stands for all, without taking memory for each.
            one = self.read(Rectangle(where.top, where.left, 1, 1))
            missing = None if one.missing is None else np.broadcast_to(one.missing, where[2:])
            return Region(np.broadcast_to(one.pixels, (*where[2:], one.pixels.shape[2])), missing)
        values, missing = self._read(stored)
        found = pixels_of_tiff(self._raster.described(values), self.path, self._reading, self._kind)
        self.transparent, self.ranged = self.transparent or found.transparent, self.ranged or found.ranged
        if self._missing is not None:
            missing = self._missing.among(values)
        if missing is None or not missing.any():
            return Region(found.pixels)
        return Region(found.pixels, turned_upright(missing, self._orientation))

    def stored(self, where: Rectangle) -> np.ndarray:
        """Stored values (h, w, C) of all channels in a rectangle that lies within the image, upright.

        Raises:
            DataError: D101, the file is damaged.
        """
        return turned_upright(
            self._read(stored_rectangle(where, self.size, self._orientation)).values, self._orientation
        )

    def _place(self) -> None:
        self._missing: MissingPixels | None = None
        self.place: Georeference | None = None
        self.lost = ""
        try:
            place, missing = self._raster.place()
        except (OSError, ValueError) as error:
            self.lost = f"it cannot be read ({printable(str(error))})"
            return
        # World files, like tags, refer to the pixels as they are stored.
        if place is not None and (place.turned or self._orientation != 1) and self._reading.exif == "apply":
            self.lost = "the image was turned upright"
            return
        self.place, self._missing = place, missing

    def _probe(self) -> None:
        """Read a part in the middle, which says what is wrong with the whole before work begins."""
        height, width = (min(side, _PROBE) for side in self.size)
        self.read(Rectangle((self.size[0] - height) // 2, (self.size[1] - width) // 2, height, width))

    def _opened(self) -> Raster:
        if is_mosaic(self.path):
            self._kind, self._damaged = "mosaic", "a damaged mosaic"
            return MosaicRaster(self.path, self._cache, self._closing, self._reading)
        self._kind, self._damaged = "TIFF file", DAMAGED
        return TiffRaster(self.path, self._cache, self._closing, chosen=self._reading.channels is not None)

    def _is_stored(self, where: Rectangle) -> bool:
        with self._lock:
            return self._raster.is_stored(where)

    def _read(self, where: Rectangle) -> Values:
        """Stored values of a rectangle of the stored image."""
        with errors_explained(self.path, self._damaged), self._lock:
            return self._raster.read(where)


def stored_rectangle(where: Rectangle, size: Size, orientation: int) -> Rectangle:
    """Where a rectangle of an upright image is stored; the inverse of `turned_upright`.

    Args:
        where: The rectangle.
        size: (height, width) of the upright image.
        orientation: Orientation by which it was turned, 1 (not at all) to 8.
    """
    top, left, height, width = where
    if orientation in (3, 4, 7, 8):
        top = size[0] - where.bottom
    if orientation in (2, 3, 6, 7):
        left = size[1] - where.right
    return Rectangle(top, left, height, width) if orientation < 5 else Rectangle(left, top, width, height)


class Layout(NamedTuple):
    """What the header of a file says of its first image.

    Attributes:
        size: (height, width) as stored.
        pixel_bytes: Bytes that the stored values of a pixel take in memory.
    """

    size: tuple[int, int]
    pixel_bytes: int

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.size[0] * self.size[1]


def large_image(path: Path, most_pixels: int) -> Layout | None:
    """The layout of a TIFF image or mosaic of more pixels than `most_pixels`; None for all other files.

    No pixels are decoded. A file that cannot be read is not large.
    """
    try:
        found = _layout_of_mosaic(path) if is_mosaic(path) else _layout_of_tiff(path)
    except DataError:  # reading it will say what is wrong
        return None
    return found if found is not None and found.pixels > most_pixels else None


def _layout_of_mosaic(path: Path) -> Layout:
    mosaic = read_mosaic(path)
    return Layout(mosaic.size, len(mosaic.bands) * mosaic.dtype.itemsize)


def _layout_of_tiff(path: Path) -> Layout | None:
    if not is_tiff(path):
        return None
    with errors_explained(path, DAMAGED), open_regular(path, in_parts=True) as stream:
        import tifffile

        with tifffile.TiffFile(stream) as file:
            page = first_page(file)
            dtype = np.dtype(page.dtype or np.uint64)
            return Layout((int(page.imagelength), int(page.imagewidth)), int(page.samplesperpixel) * dtype.itemsize)


class WholeMosaic(NamedTuple):
    """A mosaic that was read whole.

    Attributes:
        pixels: uint8 (H, W, 3), or (H, W, C) of the selected channels.
        place: Its position on the map, with the pixels without data; None if it has none and misses no pixel.
        lost: The reason why the position is not kept; empty if it is, or if there is none.
    """

    pixels: np.ndarray
    place: Georeference | None = None
    lost: str = ""


def read_whole_mosaic(path: Path, reading: Reading) -> WholeMosaic:
    """Read a mosaic that fits into memory.

    Raises:
        DataError: As `ImageRegions`; D120 more pixels than `reading.max_pixels`, D151 no memory for them.
    """
    layout = _layout_of_mosaic(path)
    if layout.pixels > reading.max_pixels:
        raise too_many_pixels(path, layout.pixels, reading.max_pixels)
    require_room(path, layout.pixels * (layout.pixel_bytes + 4))
    with within_memory(path), ImageRegions(path, reading) as image:
        pixels, missing = image.read(Rectangle(0, 0, *image.size))
        place = image.place
        if missing is not None:
            place = (place or Georeference())._replace(missing=missing)
        return WholeMosaic(pixels, place, image.lost)
