"""Rectangles of TIFF images in the normal form, equal to those of the image that is decoded whole.

Every step from stored values to the normal form concerns single pixels, so that it can be applied to any rectangle.
Only the orientation concerns the whole image: rectangles are given in the upright image and read where they are stored.
"""

from __future__ import annotations

import contextlib
import math
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pixelwise.datasets.reading.bands import pixels_of_tiff
from pixelwise.datasets.reading.files import errors_explained, open_regular, opened_regular
from pixelwise.datasets.reading.foreign import raw_camera_error
from pixelwise.datasets.reading.georeference import Georeference, MissingPixels, missing_pixels, read_georeference
from pixelwise.datasets.reading.orientation import turned_upright, upright_size
from pixelwise.datasets.reading.regions.segments import PageSegments, Rectangle, SegmentCache, not_in_parts
from pixelwise.datasets.reading.tiff import (
    DAMAGED,
    JPEG,
    RGB,
    StoredTiff,
    alpha_of,
    channels_first,
    check_shape,
    described,
    first_page,
    follow_pages,
    further_images,
    is_plane_stack,
    is_stack_of_bands,
    is_tiff,
    needs_conversion,
    refuse_unchosen,
)
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError
from pixelwise.machine.stalls import reads
from pixelwise.storage import printable

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffPageSeries

KEPT_BYTES = 1 << 27
"""Number of bytes of decoded tiles and strips that are kept of an open image."""
_PROBE = 256
_ANY_SIZE = 1 << 62
_YCBCR = 6


class Region(NamedTuple):
    """A rectangle of an image.

    Attributes:
        pixels: uint8 (h, w, 3), or (h, w, C) of the selected channels, upright; not to be written to.
        missing: Pixels without data, bool (h, w); None if there are none, or if the file has no position on the map.
    """

    pixels: np.ndarray
    missing: np.ndarray | None = None


class ImageRegions:
    """A TIFF image whose rectangles are read when they are asked for. It may be used by several threads.

    Args:
        path: TIFF, BigTIFF or cloud-optimized GeoTIFF file, in tiles or strips.
        reading: Options for reading; `max_pixels` is not applied.
        kept_bytes: Number of bytes of decoded tiles and strips that are kept.
        as_stored: Whether only stored values are read, as of a mask: they may be of any type, pages are never the bands
            of one image, and no position on the map is looked for.

    Attributes:
        path: The file.
        size: (height, width), upright unless `reading.exif` is `ignore`.
        place: Position on the map without pixels; None if there is none.
        lost: The reason why the position is not kept; empty if it is, or if there is none.
        animated: Whether the file holds further images, which are not read.
        bands: Number of channels that are stored.
        dtype: Type of the stored values.
        orientation: Orientation that the file states, 1 (upright) to 8.
        rows: Height of the tiles or strips as they lie in the upright image.
        transparent: Whether any pixel that was read until now is not opaque.
        ranged: Whether values that were read went through `data.input_range`.

    Raises:
        DataError: D101 damaged, D102 the raw data of a camera, D104 more than 8 bits and no `input_range`, D105 not an
            image, or bands that need `channels`; D106 a missing channel, D121 stored in a way that cannot be read in
            parts, D131 unreadable.
    """

    def __init__(self, path: Path, reading: Reading, kept_bytes: int = KEPT_BYTES, *, as_stored: bool = False) -> None:
        self.path, self._reading, self._as_stored = path, reading, as_stored
        self._cache, self._lock = SegmentCache(kept_bytes), threading.Lock()
        self.transparent = self.ranged = False
        self._closing = contextlib.ExitStack()
        try:
            with errors_explained(path, DAMAGED), reads(path):
                self._open()
            if not as_stored:
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
        stored = self._stored_rectangle(where)
        if where.height * where.width > 1 and not any(page.is_stored(stored) for page in self._pages):
            # All pixels are equal: one of them stands for all, without taking memory for each.
            one = self.read(Rectangle(where.top, where.left, 1, 1))
            missing = None if one.missing is None else np.broadcast_to(one.missing, where[2:])
            return Region(np.broadcast_to(one.pixels, (*where[2:], one.pixels.shape[2])), missing)
        values = self._read(where)
        found = pixels_of_tiff(self._described(values), self.path, self._reading)
        self.transparent, self.ranged = self.transparent or found.transparent, self.ranged or found.ranged
        missing = None if self._missing is None else self._missing.among(values)
        if missing is None or not missing.any():
            return Region(found.pixels)
        return Region(found.pixels, turned_upright(missing, self._orientation))

    def stored(self, where: Rectangle) -> np.ndarray:
        """Stored values (h, w, C) of all channels in a rectangle that lies within the image, upright.

        Raises:
            DataError: D101, the file is damaged.
        """
        return turned_upright(self._read(where), self._orientation)

    def stored_tiff(self, where: Rectangle) -> StoredTiff:
        """What is stored in a rectangle that lies within the image, with upright values.

        Raises:
            DataError: D101, the file is damaged.
        """
        found = self._described(self._read(where))
        return found._replace(values=turned_upright(found.values, self._orientation))

    def _open(self) -> None:
        # Imported here: it takes 50 ms, which only such images need to pay.
        import tifffile

        stream = self._closing.enter_context(opened_regular(self.path))
        file = self._closing.enter_context(tifffile.TiffFile(stream))
        follow_pages(file)
        page = self._page = first_page(file)
        if (raw := raw_camera_error(self.path, page)) is not None:
            raise raw
        self._converts = needs_conversion(page)
        if self._converts and not _becomes_rgb(page):
            raise not_in_parts(self.path, f"its colours are {_name(page.photometric)}; expected grey, RGB or bands")
        pages = self._stacked(file)
        self._further = None if pages else further_images(file, page, file.series[0])
        self.animated = self._further is not None
        self._is_stack = bool(pages)
        for one in pages or [page]:
            check_shape(self.path, one.shape, np.dtype(one.dtype), one.axes == "SYX", _ANY_SIZE)
        self._pages = [PageSegments(self.path, one, self._cache) for one in pages or [page]]
        self.bands = sum(one.channels for one in self._pages)
        self.dtype = self._pages[0].dtype
        self.orientation = described(page, np.zeros((1, 1, self.bands), self.dtype), "none", None).orientation
        self._orientation = self.orientation if self._reading.exif == "apply" else 1
        self.rows = self._pages[0].part[0 if self._orientation < 5 else 1]
        self.size = upright_size(self._pages[0].size, self._orientation)

    def _stacked(self, file: TiffFile) -> list[TiffPage]:
        """The pages that are bands of one image; none if the first page is the image."""
        series, page = file.series[0], self._page
        if self._as_stored:
            return []
        if self._reading.channels is None and not is_stack_of_bands(file, series):
            refuse_unchosen(self.path, file, series)
            return []
        if self._reading.channels is not None and is_plane_stack(series):
            return self._pages_of(file, series, page, math.prod(series.shape[:-2]))
        if series.ndim != 3 or tuple(series.shape) == tuple(page.shape):
            if self._reading.channels is None:
                refuse_unchosen(self.path, file, series)
            return []
        first = series.axes.endswith("YX")
        if first and "S" not in series.axes and "C" not in series.axes:
            first = channels_first(series.shape)
        return self._pages_of(file, series, page, series.shape[0] if first else -1)

    def _pages_of(self, file: TiffFile, series: TiffPageSeries, page: TiffPage, count: int) -> list[TiffPage]:
        """The pages of a series, if they are as many as expected and alike."""
        pages: list[Any] = list(series.pages)
        if len(pages) != count or any(one is None or one.shape != page.shape for one in pages):
            raise not_in_parts(self.path, f"it is one array of shape {list(series.shape)}, not one page per band")
        # Frames are pages without the tags that they share with the first one.
        found: list[Any] = [file.pages.get(one.index, aspage=True) if one.keyframe is not one else one for one in pages]
        return found

    def _place(self) -> None:
        self._missing: MissingPixels | None = None
        self.place: Georeference | None = None
        self.lost = ""
        try:
            place = read_georeference(self.path, is_tiff=True, pixels=False)
            missing = missing_pixels(self._page) if place is not None and place.tags else None
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

    def _stored_rectangle(self, where: Rectangle) -> Rectangle:
        """Where a rectangle of the upright image is stored; the inverse of `turned_upright`."""
        top, left, height, width = where
        turned, (rows, columns) = self._orientation, self.size
        if turned in (3, 4, 7, 8):
            top = rows - where.bottom
        if turned in (2, 3, 6, 7):
            left = columns - where.right
        return Rectangle(top, left, height, width) if turned < 5 else Rectangle(left, top, width, height)

    def _read(self, where: Rectangle) -> np.ndarray:
        """Stored values (h, w, C), in the stored orientation, of a rectangle of the upright image."""
        with errors_explained(self.path, DAMAGED), self._lock, reads(self.path):
            return self._stored_values(self._stored_rectangle(where))

    def _stored_values(self, where: Rectangle) -> np.ndarray:
        """Stored values (h, w, C)."""
        parts = [page.read(where) for page in self._pages]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)

    def _described(self, values: np.ndarray) -> StoredTiff:
        alpha = "none" if self._is_stack else alpha_of(self._page, values.shape[2])
        stored = described(self._page, values, alpha, self._further)
        # The decoder of JPEG converts the colours, whatever the page says of those that are stored.
        return stored._replace(photometric=RGB) if self._converts else stored


class Layout(NamedTuple):
    """What the header of a TIFF file says of its first image.

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
    """The layout of a TIFF image of more pixels than `most_pixels`; None for all other files.

    No pixels are decoded. A file that cannot be read is not large.
    """
    if not is_tiff(path):
        return None
    try:
        with errors_explained(path, DAMAGED), open_regular(path) as stream:
            import tifffile

            with tifffile.TiffFile(stream) as file:
                page = first_page(file)
                dtype = np.dtype(page.dtype or np.uint64)
                found = Layout(
                    (int(page.imagelength), int(page.imagewidth)), int(page.samplesperpixel) * dtype.itemsize
                )
    except DataError:  # reading it will say what is wrong
        return None
    return found if found.pixels > most_pixels else None


def _becomes_rgb(page: TiffPage) -> bool:
    """Whether the decoder of JPEG turns the colours of a page into RGB."""
    return page.compression in JPEG and page.photometric in (RGB, _YCBCR) and page.samplesperpixel == 3


def _name(photometric: object) -> str:
    return str(getattr(photometric, "name", photometric))
