"""Tiles of large images and of their labels, at full size and at halves of it, so that a page moves over all of them.

TIFF files and mosaics are read where a tile lies; other files are decoded once for all of their tiles: PNG images some
rows at a time, the others whole.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import cv2
import numpy as np

from pixelwise.datasets.reading.images import load_image
from pixelwise.datasets.reading.masks import translate
from pixelwise.datasets.reading.orientation import turned_upright, upright_size
from pixelwise.datasets.reading.regions.images import ImageRegions, stored_rectangle
from pixelwise.datasets.reading.regions.masks import MaskRegions
from pixelwise.datasets.reading.regions.mosaics import is_mosaic
from pixelwise.datasets.reading.regions.png_images import StoredPng, image_bands, stored_png_image
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.datasets.reading.tiff import is_tiff
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError, ResourceError
from pixelwise.pages.labels.pictures import labels_of, os_state
from pixelwise.pages.newest import Newest
from pixelwise.prediction.overlays import as_picture
from pixelwise.recipes.sizes import Size
from pixelwise.storage.spilled import unnamed_file

SIDE = 512
"""Sides of a tile."""
MOST_PIXELS = 1 << 30
"""Pixels of the largest image that is shown in tiles: the coarsest tile is made of all of them."""
_READ_AT_ONCE = 3
"""Halvings up to which a tile is made of one rectangle; coarser ones are made of four finer ones."""
_KEPT_BYTES = 1 << 26
_CACHED = 1 << 26
_MOST_IN_MEMORY = 1 << 25
"""Bytes of a decoded image that stay in memory; those of larger ones lie on the disk.

PNG files of more pixels are decoded by rows.
"""

_ROWS = 128
"""Rows of a PNG image that are decoded together: of more, the memory grows, and not the speed."""


class Place(NamedTuple):
    """A tile: how often the image is halved for it, and its row and column among those of this size."""

    halvings: int
    row: int
    column: int


class Source(Protocol):
    """Something of which rectangles are read; `size` is (height, width)."""

    size: Size

    def read(self, where: Rectangle) -> np.ndarray:
        """Its pixels, uint8 (h, w, 3), or class ids, uint8 (h, w)."""
        ...

    def close(self) -> None:
        """Close its file."""
        ...


class Tiles:
    """Reads tiles of the image that was asked for last."""

    def __init__(self) -> None:
        # Of one file; and several large parts at once would take several times the memory.
        self._lock = threading.RLock()  # what is made of labels reads them while it is read
        self._open: dict[str, tuple[object, Source]] = {}
        self._made: Newest[np.ndarray] = Newest(_KEPT_BYTES, lambda tile: tile.nbytes)

    def size(self, dataset: Dataset, sample: Sample, layer: str) -> Size:
        """(height, width) of an image (`photo`) or of its mask (`labels`); of a large PNG file, what it states.

        Raises:
            DataError: It cannot be read.
        """
        path = sample.image_path if layer == "photo" else sample.mask_path
        if path is not None and not (layer == "labels" and dataset.multilabel):
            stored = _large_png(path, dataset)
            if stored is not None:  # decoding it takes seconds, which a page does not wait for
                return upright_size(stored.size, stored.orientation)
        with self._lock:
            return self._source(layer, *_opening(dataset, sample, layer))[1].size

    def tile(self, dataset: Dataset, sample: Sample, layer: str, place: Place) -> np.ndarray | None:
        """A tile with sides of at most `SIDE`; None if there is no such tile.

        Args:
            dataset: The data set.
            sample: The pair.
            layer: `photo`: uint8 (h, w, 3); `labels`: class ids uint8 (h, w), 255 where pixels are ignored.
            place: Which tile.

        Raises:
            DataError: The file cannot be read.
        """
        return self.tile_of(layer, *_opening(dataset, sample, layer), place)

    def tile_of(self, layer: str, key: object, make: Callable[[], Source], place: Place) -> np.ndarray | None:
        """A tile of a layer that is made of other things than one file; None if there is no such tile.

        Args:
            layer: Name of the layer, of which the one that was asked for last stays open.
            key: Tells what the layer shows from everything else.
            make: Opens it.
            place: Which tile.

        Raises:
            DataError: It cannot be opened.
        """
        with self._lock:
            key, source = self._source(layer, key, make)
            return self._read(key, source, place) if place in places(source.size) else None

    def rectangle(self, dataset: Dataset, sample: Sample, layer: str, where: Rectangle) -> np.ndarray:
        """A rectangle of an image or of its mask at full size; arguments, values and errors are those of `tile`."""
        with self._lock:
            return self._source(layer, *_opening(dataset, sample, layer))[1].read(where)

    def _source(self, layer: str, key: object, make: Callable[[], Source]) -> tuple[object, Source]:
        key = layer, key
        known, source = self._open.get(layer, (None, None))
        if source is None or known != key:
            if source is not None:
                del self._open[layer]
                source.close()
            source = make()
            self._open[layer] = key, source
        return key, source

    def _read(self, key: object, source: Source, place: Place) -> np.ndarray:
        if place.halvings <= _READ_AT_ONCE:
            where = rectangle_of(place, source.size)
            pixels = source.read(where)
            return pixels if not place.halvings else _halved(pixels, place.halvings)
        return self._made.get((key, place), lambda: self._of_finer_ones(key, source, place))

    def _of_finer_ones(self, key: object, source: Source, place: Place) -> np.ndarray:
        finer = [
            [Place(place.halvings - 1, 2 * place.row + down, 2 * place.column + right) for right in (0, 1)]
            for down in (0, 1)
        ]
        existing = places(source.size)
        rows = [[self._read(key, source, one) for one in row if one in existing] for row in finer]
        return _halved(np.concatenate([np.concatenate(row, axis=1) for row in rows if row], axis=0), 1)


class _Places:
    """The tiles that an image of a size has."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self.most_halvings = halvings_of(size)

    def __contains__(self, place: Place) -> bool:
        if not 0 <= place.halvings <= self.most_halvings or min(place) < 0:
            return False
        side = SIDE << place.halvings
        return place.row * side < self._size[0] and place.column * side < self._size[1]


def places(size: Size) -> _Places:
    """The tiles of an image of (height, width)."""
    return _Places(size)


def halvings_of(size: Size) -> int:
    """How often an image is halved until one tile holds all of it."""
    return max(0, (max(size) - 1) // SIDE).bit_length()


def rectangle_of(place: Place, size: Size) -> Rectangle:
    """What a tile shows of an image of (height, width)."""
    side = SIDE << place.halvings
    top, left = place.row * side, place.column * side
    return Rectangle(top, left, min(side, size[0] - top), min(side, size[1] - left))


def _opening(dataset: Dataset, sample: Sample, layer: str) -> tuple[object, Callable[[], Source]]:
    """What tells a layer of a pair from others, and how it is opened."""
    files = [sample.image_path] if layer == "photo" else sample.mask_files
    key = *map(os_state, files), dataset.reading
    return key, lambda: _photo(sample.image_path, dataset) if layer == "photo" else _labels(sample, dataset)


class _Whole:
    """A file that was decoded whole."""

    def __init__(self, pixels: np.ndarray) -> None:
        self._pixels, self.size = pixels, (pixels.shape[0], pixels.shape[1])

    def read(self, where: Rectangle) -> np.ndarray:
        return self._pixels[where.top : where.top + where.height, where.left : where.left + where.width]

    def close(self) -> None:
        self._pixels = self._pixels[:0]


class _OnDisk:
    """A large file that was decoded, whose pixels lie in an unnamed file: memory is for what is looked at.

    Args:
        bands: All pixels as they are stored, uint8 (h, W, ...), from top to bottom.
        shape: Shape of all of them together.
        file: Empty file, which is closed with this.
        orientation: Orientation by which they are turned upright.
    """

    def __init__(
        self, bands: Iterable[np.ndarray], shape: tuple[int, ...], file: BinaryIO, orientation: int = 1
    ) -> None:
        self._shape, self._file, self._orientation = shape, file, orientation
        self.size = upright_size((shape[0], shape[1]), orientation)
        for band in bands:
            content = np.ascontiguousarray(band).tobytes()
            if file.write(content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def read(self, where: Rectangle) -> np.ndarray:
        # Mapped for each: pages of a file that stay mapped count as memory of the process.
        pixels = np.memmap(self._file, np.uint8, "r", shape=self._shape)
        stored = stored_rectangle(where, self.size, self._orientation)
        found = np.array(pixels[stored.top : stored.bottom, stored.left : stored.right])
        return turned_upright(found, self._orientation)

    def close(self) -> None:
        self._file.close()


def _decoded(pixels: np.ndarray) -> Source:
    """What was decoded whole, in memory or, if it is large and the disk has the space, in a file."""
    file = unnamed_file() if pixels.nbytes > _MOST_IN_MEMORY else None
    if file is None:
        return _Whole(pixels)
    try:
        bands = (pixels[first : first + SIDE] for first in range(0, len(pixels), SIDE))
        return _OnDisk(bands, pixels.shape, file)
    except OSError:
        file.close()
        return _Whole(pixels)


def _png_on_disk(path: Path, dataset: Dataset) -> Source | None:
    """A large PNG image, of which a band of rows at a time is in memory; None for others, and if there is no space."""
    reading = dataset.reading
    if reading.channels is not None and len(reading.channels) != 3:
        return None  # how other bands become a picture is a question to all pixels
    stored = _large_png(path, dataset)
    if stored is None:
        return None
    with contextlib.ExitStack() as closing:
        file = closing.enter_context(made) if (made := unnamed_file()) is not None else None
        if file is None:
            return None
        try:
            found = _read_into(file, path, dataset, stored)
        except OSError:
            return None
        closing.pop_all()  # the file is open as long as what lies in it
        return found


def _read_into(file: BinaryIO, path: Path, dataset: Dataset, stored: StoredPng) -> Source:
    with contextlib.ExitStack() as closing:
        passes = None
        if stored.interlaced:
            if (made := unnamed_file()) is None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            passes = closing.enter_context(io.BufferedRandom(made))  # type: ignore[arg-type]
        bands = image_bands(path, dataset.reading, _ROWS, passes)
        return _OnDisk(bands, (*stored.size, 3), file, stored.orientation)


class _PhotoInParts:
    def __init__(self, path: Path, dataset: Dataset) -> None:
        self._regions = ImageRegions(path, dataset.reading, _CACHED)
        self.size = self._regions.size

    def read(self, where: Rectangle) -> np.ndarray:
        return as_picture(np.ascontiguousarray(self._regions.read(where).pixels))

    def close(self) -> None:
        self._regions.close()


class _LabelsInParts:
    def __init__(self, path: Path, dataset: Dataset) -> None:
        self._regions = MaskRegions(path, dataset.label_table, dataset.reading, len(dataset.classes))
        self._table = dataset.label_table
        self.size = self._regions.size

    def read(self, where: Rectangle) -> np.ndarray:
        # As of a mask that is read whole, what values without a class hide is shown as ignored.
        wider = where if self._table.tolerance is None else self._regions.surrounded(where)
        labels = translate(self._regions.raw(wider), self._table).labels
        top, left = where.top - wider.top, where.left - wider.left
        return labels[top : top + where.height, left : left + where.width]

    def close(self) -> None:
        self._regions.close()


def _photo(path: Path, dataset: Dataset) -> Source:
    if is_tiff(path) or is_mosaic(path):
        try:
            return _PhotoInParts(path, dataset)
        except DataError as error:
            if error.code != "D121":
                raise
    return _png_on_disk(path, dataset) or _decoded(as_picture(load_image(path, dataset.reading)[0]))


def _large_png(path: Path, dataset: Dataset) -> StoredPng | None:
    """What a PNG file of many pixels states; None for smaller ones and for other files."""
    stored = stored_png_image(path, dataset.reading)
    return stored if stored is not None and stored.size[0] * stored.size[1] > _MOST_IN_MEMORY else None


def _labels(sample: Sample, dataset: Dataset) -> Source:
    path = sample.mask_path
    if path is not None and not dataset.multilabel and (is_tiff(path) or _large_png(path, dataset)):
        try:
            return _LabelsInParts(path, dataset)
        except DataError as error:
            if error.code != "D121":
                raise
        except ResourceError:  # a PNG mask is stored in tiles in the cache folder
            pass
    return _decoded(labels_of(sample, dataset))


def _halved(pixels: np.ndarray, times: int) -> np.ndarray:
    """Pixels at a half, a quarter, ... of their size, rounded up; of class ids, every 2nd, 4th, ... is kept."""
    step = 1 << times
    if pixels.ndim == 2:
        rows, columns = (np.minimum(np.arange(0, side, step) + step // 2, side - 1) for side in pixels.shape)
        return pixels[np.ix_(rows, columns)]
    height, width = (-(-side // step) for side in pixels.shape[:2])
    rest = [(0, whole * step - side) for whole, side in zip((height, width), pixels.shape, strict=False)]
    if any(more for _, more in rest):  # the last pixels stand for what is missing, so that no other one moves
        pixels = np.pad(pixels, [*rest, (0, 0)], mode="edge")
    return cv2.resize(np.ascontiguousarray(pixels), (width, height), interpolation=cv2.INTER_AREA)
