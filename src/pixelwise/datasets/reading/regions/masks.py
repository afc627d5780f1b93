"""Rectangles of TIFF and PNG masks, equal to those of the mask that is decoded whole.

Most of what a value means is known from the value alone. What only the whole mask tells (whether an RGB mask is grey
everywhere, whether its transparency says anything) is found out once, band by band.
"""

from __future__ import annotations

import contextlib
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.reading.files import errors_explained
from pixelwise.datasets.reading.mask_values import RawMask, interpreted_part, is_grey
from pixelwise.datasets.reading.masks import is_snapped, mask_error, translate
from pixelwise.datasets.reading.orientation import turned_upright, upright_size
from pixelwise.datasets.reading.regions.images import stored_rectangle
from pixelwise.datasets.reading.regions.png_masks import PngRaster, is_kept, is_png
from pixelwise.datasets.reading.regions.rasters import TiffRaster
from pixelwise.datasets.reading.regions.segments import Rectangle, SegmentCache, not_in_parts
from pixelwise.datasets.reading.tiff import DAMAGED, RGB, StoredTiff, is_tiff
from pixelwise.datasets.reading.tolerance import Strangers
from pixelwise.datasets.samples import Reading
from pixelwise.recipes.sizes import Size
from pixelwise.storage import printable

KEPT_BYTES = 1 << 26
"""Number of bytes of decoded tiles and strips that are kept of an open image or mask."""
_ROWS = 512
_MOST_ROWS = 2048
# `tolerance` looks at the neighbours of neighbours of a pixel's neighbours.
_SURROUNDINGS = 4


class WholeMask(NamedTuple):
    """What is known of a whole mask and cannot be seen from a part of it.

    Attributes:
        grey: Whether it is an RGB image with only grey pixels.
        wide: Whether it has values outside 0 to 65535.
        strange: Values, or colours `0xrrggbb`, that cover areas and are too far from every named one for
            `data.mask_tolerance`; None if that was not needed yet.
    """

    grey: bool = False
    wide: bool = False
    strange: frozenset[int] | None = None


class MaskRegions:
    """A TIFF or PNG mask whose rectangles are read when they are asked for.

    Args:
        path: The mask.
        table: Label table; says whether values, colours or the alpha channel are read.
        reading: Options for reading; `max_pixels` is not applied.
        num_classes: Number of classes of the data set, for messages.
        known: What is known of the whole mask; None to find out.
        shared: Decoded tiles and strips of several masks, and the number of this one among them; None for its own.

    Attributes:
        size: (height, width), upright unless `reading.exif` is `ignore`.
        rows: Height of the tiles or strips as they lie in the upright mask.
        known: What is known of the whole mask.

    Raises:
        DataError: D121, the mask is neither a TIFF nor a PNG file, or cannot be read in parts; those of `load_mask`.
        ResourceError: S601 and S606, a PNG mask cannot be stored in tiles in the cache folder.
    """

    def __init__(
        self,
        path: Path,
        table: LabelTable,
        reading: Reading,
        num_classes: int = 0,
        known: WholeMask | None = None,
        shared: tuple[SegmentCache, int] | None = None,
    ) -> None:
        self._path, self._table, self._num_classes = path, table, num_classes
        self._closing, self._lock = contextlib.ExitStack(), threading.Lock()
        try:
            self._raster = self._opened(*(shared or (SegmentCache(KEPT_BYTES), 0)))
            self._orientation = self._raster.orientation if reading.exif == "apply" else 1
            self.size = upright_size(self._raster.size, self._orientation)
            self.rows = self._raster.part[0 if self._orientation < 5 else 1]
            if self._raster.animated:
                raise not_in_parts(path, "it holds several pages")
            self.known = self._look() if known is None else known
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> MaskRegions:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._closing.close()

    def bands(self) -> Iterator[Rectangle]:
        """The mask in bands of whole rows, from top to bottom, as its tiles or strips suggest."""
        return bands(self.size, self.rows)

    def raw(self, where: Rectangle) -> RawMask:
        """The values of a rectangle within the mask, not interpreted yet; see `load_mask`.

        Raises:
            DataError: As `load_mask`.
        """
        found = interpreted_part(self._stored(where), self._table, self._path, grey=self.known.grey)
        if self.known.wide and found.values.ndim == 2 and found.values.dtype in (np.uint8, np.uint16):
            # The type of the values decides how those between two classes are treated.
            return found._replace(values=found.values.astype(np.int64))
        return found

    def labels(self, where: Rectangle) -> np.ndarray:
        """Class ids uint8 (h, w) of a rectangle within the mask, 255 = ignored.

        Raises:
            DataError: As `load_mask`; D202, D203 or D205, values without a class.
        """
        if self._table.tolerance is None:
            return self._translated(self.raw(where))
        wider = self.surrounded(where)
        raw, top, left = self.raw(wider), where.top - wider.top, where.left - wider.left
        rows, columns = slice(top, top + where.height), slice(left, left + where.width)
        if not is_snapped(raw, self._table):
            return self._translated(raw._replace(values=raw.values[rows, columns]))
        return self._translated(raw)[rows, columns]

    def surrounded(self, where: Rectangle) -> Rectangle:
        """A rectangle with as much around it, within the mask, as may decide about its labels."""
        top, left = max(0, where.top - _SURROUNDINGS), max(0, where.left - _SURROUNDINGS)
        bottom, right = (
            min(side, end + _SURROUNDINGS) for side, end in zip(self.size, (where.bottom, where.right), strict=True)
        )
        return Rectangle(top, left, bottom - top, right - left)

    def _translated(self, raw: RawMask) -> np.ndarray:
        """The class ids of a part of the mask.

        Raises:
            DataError: D202, D203 or D205, values without a class.
        """
        found = translate(raw, self._table)
        if is_snapped(raw, self._table) and (found.unknown_ids or found.unknown_colors):
            # Whether a value covers areas, so that it should have a class, is a question to the whole mask.
            strange = self._strange()
            ids, colors = (
                {value: pixels for value, pixels in unknown.items() if value in strange}
                for unknown in (found.unknown_ids, found.unknown_colors)
            )
            found = found._replace(unknown_ids=ids, unknown_colors=colors)
        if (error := mask_error(self._path, raw, found, self._table, self._num_classes)) is not None:
            raise error
        return found.labels

    def _strange(self) -> frozenset[int]:
        """See `WholeMask.strange`; looked for in the whole mask at the first call."""
        if self.known.strange is None:
            found = Strangers(self._table)
            for where in self.bands():
                wider = self.surrounded(where)
                found.add(self.raw(wider).values, slice(where.top - wider.top, where.bottom - wider.top))
            self.known = self.known._replace(strange=frozenset(found.drawn()))
        return self.known.strange or frozenset()

    def _opened(self, cache: SegmentCache, number: int) -> TiffRaster | PngRaster:
        path = self._path
        if not is_kept(path):
            if is_tiff(path):
                return TiffRaster(path, cache, self._closing, chosen=None, file=number)
            if not is_png(path):
                raise not_in_parts(
                    path,
                    "the mask of such an image has to be a TIFF or PNG file",
                    "write the mask as a TIFF file in tiles, and leave this file out: gdal_translate -co TILED=YES -co "
                    f"COMPRESS=DEFLATE {shlex.quote(printable(path.name))} {shlex.quote(printable(path.stem))}.tif",
                )
        return PngRaster(path, cache, self._closing, from_alpha=self._table.from_alpha, file=number)

    def _stored(self, where: Rectangle) -> StoredTiff:
        """What is stored in a rectangle, with upright values."""
        # A damaged file may also be noticed when its values are held against its palette.
        with errors_explained(self._path, DAMAGED), self._lock:
            values = self._raster.read(stored_rectangle(where, self.size, self._orientation)).values
            found = self._raster.described(values)
        return found._replace(values=turned_upright(found.values, self._orientation))

    def _look(self) -> WholeMask:
        """Look at the whole mask, if there is anything that only the whole tells."""
        table, one = self._table, self._stored(Rectangle(0, 0, 1, 1))
        by_color = bool(table.colors) and not table.ids
        # Of colours of 8 and 16 bits a threshold takes the brightness, which is known from each pixel.
        bright = table.threshold is not None and one.values.dtype in (np.uint8, np.uint16, np.bool_)
        asks_grey = one.photometric == RGB and not (by_color or table.from_alpha or bright)
        asks_wide = table.tolerance is not None and one.values.dtype not in (np.uint8, np.uint16, np.bool_)
        asks_alpha = one.alpha != "none" and not table.from_alpha
        if not (asks_grey or asks_wide or asks_alpha):
            return WholeMask()
        grey, wide, opacity = asks_grey, False, one.values[0, 0, -1]
        for band in self.bands():
            values = self._stored(band).values
            grey = grey and is_grey(values[..., :3])
            wide = wide or (asks_wide and bool(((values < 0) | (values > 65535)).any()))
            if asks_alpha and (values[..., -1] != opacity).any():
                raise not_in_parts(
                    self._path,
                    "it has an alpha channel that is not the same everywhere",
                    "export the mask without an alpha channel, or, if transparency marks the background, read it: "
                    "data.mask_channel=alpha data.mask_threshold=128",
                )
        return WholeMask(grey, wide)


def bands(size: Size, rows: int) -> Iterator[Rectangle]:
    """An image in bands of whole rows, from top to bottom.

    Args:
        size: (height, width) of the image.
        rows: Height of its tiles or strips, of which each band holds as many as suit.
    """
    height = rows * max(1, _ROWS // rows) if rows <= _MOST_ROWS else _ROWS
    for top in range(0, size[0], height):
        yield Rectangle(top, 0, min(height, size[0] - top), size[1])
