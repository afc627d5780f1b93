"""Images as they are stored, of which rectangles are read: TIFF files, and what mosaics have in common with them."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from pixelwise.datasets.reading.files import errors_explained, opened_regular
from pixelwise.datasets.reading.foreign import raw_camera_error
from pixelwise.datasets.reading.georeference import Georeference, MissingPixels, missing_pixels, read_georeference
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
    needs_conversion,
    refuse_unchosen,
)
from pixelwise.machine.stalls import reads
from pixelwise.storage.stores.ranged import RangedFile

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffPageSeries

_ANY_SIZE = 1 << 62
_YCBCR = 6
_REDUCED, _MASK = 1, 4
"""Bits of TIFF's NewSubfileType: smaller copies, and masks of transparency."""


class Values(NamedTuple):
    """Stored values of a rectangle.

    Attributes:
        values: (h, w, C) of all channels, in the stored orientation.
        missing: Pixels that nothing is stored for, bool (h, w); None if there are none.
    """

    values: np.ndarray
    missing: np.ndarray | None = None


class Raster(Protocol):
    """An image as it is stored. Only one thread at a time may use it.

    Attributes:
        size: (height, width) as stored.
        bands: Number of channels.
        dtype: Type of the values.
        orientation: Orientation that the file states, 1 (upright) to 8.
        animated: Whether the file holds further images, which are not read.
        part: (height, width) of the parts in which it is best read.
    """

    size: tuple[int, int]
    part: tuple[int, int]
    bands: int
    dtype: np.dtype
    orientation: int
    animated: bool

    def read(self, where: Rectangle) -> Values:
        """Stored values of a rectangle within the image."""
        ...

    def is_stored(self, where: Rectangle) -> bool:
        """Whether any pixel of a rectangle is stored; if not, all of them are equal."""
        ...

    def described(self, values: np.ndarray) -> StoredTiff:
        """Stored values (h, w, C) with what the file says about them."""
        ...

    def place(self) -> tuple[Georeference | None, MissingPixels | None]:
        """Position on the map, and which values it marks as missing data.

        Raises:
            OSError: The file cannot be read.
            ValueError: The position cannot be read; the message says why.
        """
        ...


class TiffRaster:
    """The first image of a TIFF file, or the pages of it that are its bands; see `Raster`.

    Args:
        path: TIFF, BigTIFF or cloud-optimized GeoTIFF file, in tiles or strips.
        cache: Decoded tiles and strips.
        closing: Closes the file.
        chosen: Whether channels were chosen, so that planes of a stack are bands; None for only the first page.
        file: Number of the file among those that share the cache.

    Raises:
        DataError: D101 damaged, D102 the raw data of a camera, D105 not an image, or a stack of which no planes were
            chosen; D121 stored in a way that cannot be read in parts, D131 unreadable.
    """

    def __init__(
        self, path: Path, cache: SegmentCache, closing: contextlib.ExitStack, *, chosen: bool | None, file: int = 0
    ) -> None:
        self._path, self._cache, self._chosen, self._number = path, cache, chosen, file
        with errors_explained(path, DAMAGED), reads(path):
            self._open(closing)

    def read(self, where: Rectangle) -> Values:
        """Stored values of a rectangle within the image."""
        with errors_explained(self._path, DAMAGED), reads(self._path):
            parts = [page.read(where) for page in self._pages]
        return Values(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2))

    def is_stored(self, where: Rectangle) -> bool:
        """Whether any tile or strip of a rectangle is stored; those of a sparse file need not be."""
        return any(page.is_stored(where) for page in self._pages)

    def described(self, values: np.ndarray) -> StoredTiff:
        """Stored values (h, w, C) with what the file says about them."""
        alpha = "none" if self._is_stack else alpha_of(self._page, values.shape[2])
        stored = described(self._page, values, alpha, self._further)
        # The decoder of JPEG converts the colours, whatever the page says of those that are stored.
        return stored._replace(photometric=RGB) if self._converts else stored

    def place(self) -> tuple[Georeference | None, MissingPixels | None]:
        """Position on the map, and which values mark missing data; see `Raster`."""
        place = read_georeference(self._path, is_tiff=True, pixels=False)
        return place, missing_pixels(self._page) if place is not None and place.tags else None

    def opaque(self, where: Rectangle, values: np.ndarray) -> np.ndarray | None:
        """What is not transparent or missing by the file's own mask, alpha channel or value for missing data.

        Args:
            where: A rectangle.
            values: Its stored values (h, w, C).

        Returns:
            bool (h, w); None if the file has none of these.
        """
        if self._mask is not None:
            with errors_explained(self._path, DAMAGED), reads(self._path):
                return self._mask.read(where)[..., 0] != 0
        stated = missing_pixels(self._page)
        return None if stated is None else ~stated.among(values)

    def _open(self, closing: contextlib.ExitStack) -> None:
        # Imported here: it takes 50 ms, which only such images need to pay.
        import tifffile

        stream = closing.enter_context(opened_regular(self._path, in_parts=True))
        file = closing.enter_context(tifffile.TiffFile(stream))
        follow_pages(file)
        page = self._page = first_page(file)
        if (raw := raw_camera_error(self._path, page)) is not None:
            raise raw
        self._converts = needs_conversion(page)
        if self._converts and not _becomes_rgb(page):
            raise not_in_parts(self._path, f"its colours are {_name(page.photometric)}; expected grey, RGB or bands")
        pages = self._stacked(file)
        self._further = None if pages else further_images(file, page, file.series[0])
        self.animated = self._further is not None
        self._is_stack = bool(pages)
        for one in pages or [page]:
            check_shape(self._path, one.shape, np.dtype(one.dtype), one.axes == "SYX", _ANY_SIZE)
        expect = stream.expect if isinstance(stream, RangedFile) else None
        self._pages = [PageSegments(self._path, one, self._cache, self._number, expect) for one in pages or [page]]
        self.bands = sum(one.channels for one in self._pages)
        self.dtype = self._pages[0].dtype
        self.orientation = described(page, np.zeros((1, 1, self.bands), self.dtype), "none", None).orientation
        self.size, self.part = self._pages[0].size, self._pages[0].part
        self._mask = self._mask_of(file)

    def _mask_of(self, file: TiffFile) -> PageSegments | None:
        """The mask that a file holds of its first image; None if there is none."""
        for number in range(1, len(file.pages)):
            page: Any = file.pages[number]
            kind = int(page.keyframe.subfiletype)
            if kind & _MASK and not kind & _REDUCED and tuple(page.shape) == self.size:
                whole: Any = file.pages.get(number, aspage=True)
                return PageSegments(self._path, whole, self._cache, self._number)
        return None

    def _stacked(self, file: TiffFile) -> list[TiffPage]:
        """The pages that are bands of one image; none if the first page is the image."""
        series, page = file.series[0], self._page
        if self._chosen is None:
            return []
        if not self._chosen and not is_stack_of_bands(file, series):
            refuse_unchosen(self._path, file, series)
            return []
        if self._chosen and is_plane_stack(series):
            return self._pages_of(file, series, page, math.prod(series.shape[:-2]))
        if series.ndim != 3 or tuple(series.shape) == tuple(page.shape):
            if not self._chosen:
                refuse_unchosen(self._path, file, series)
            return []
        first = series.axes.endswith("YX")
        if first and "S" not in series.axes and "C" not in series.axes:
            first = channels_first(series.shape)
        return self._pages_of(file, series, page, series.shape[0] if first else -1)

    def _pages_of(self, file: TiffFile, series: TiffPageSeries, page: TiffPage, count: int) -> list[TiffPage]:
        """The pages of a series, if they are as many as expected and alike."""
        pages: list[Any] = list(series.pages)
        if len(pages) != count or any(one is None or one.shape != page.shape for one in pages):
            raise not_in_parts(self._path, f"it is one array of shape {list(series.shape)}, not one page per band")
        # Frames are pages without the tags that they share with the first one.
        found: list[Any] = [file.pages.get(one.index, aspage=True) if one.keyframe is not one else one for one in pages]
        return found


def _becomes_rgb(page: TiffPage) -> bool:
    """Whether the decoder of JPEG turns the colours of a page into RGB."""
    return page.compression in JPEG and page.photometric in (RGB, _YCBCR) and page.samplesperpixel == 3


def _name(photometric: object) -> str:
    return str(getattr(photometric, "name", photometric))
