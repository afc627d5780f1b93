"""Pictures of images and of their labels, reduced, and made when a page asks for them."""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from pixelwise.datasets.reading.files import open_regular
from pixelwise.datasets.reading.images import load_image
from pixelwise.datasets.reading.masks import load_mask, read_class_masks, translate
from pixelwise.datasets.reading.orientation import stated_orientation, turned_upright
from pixelwise.datasets.reading.regions.images import ImageRegions
from pixelwise.datasets.reading.regions.masks import WholeMask
from pixelwise.datasets.reading.regions.pairs import is_in_parts, known_of, opened_mask
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.datasets.reading.regions.sizes import refuse_other_sizes
from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.errors import DataError
from pixelwise.machine.threads import reading_threads
from pixelwise.pages.catalog import Refused
from pixelwise.pages.newest import Newest
from pixelwise.prediction.overlays import as_picture, color_table
from pixelwise.recipes.class_sets.tables import IGNORE, Color
from pixelwise.recipes.sizes import Size
from pixelwise.storage import printable
from pixelwise.storage.stores.members import state_of

SMALL, LARGE = 256, 1600
"""Longest side of a thumbnail, and of the picture on the page of an image."""
WINDOW = 1024
"""Sides of the part that is shown of an image that is too large to be decoded whole."""
_KEPT = 32 << 20
"""Bytes of finished pictures that stay in memory."""
_CUT, _LEAST_CUT = 320, 96
_JPEG = b"\xff\xd8\xff"


class Picture(NamedTuple):
    """A finished picture.

    Attributes:
        content: JPEG, or PNG of labels.
        size: (height, width) of the picture.
        whole: (height, width) of what it was made of: the whole image, or all that a large one has.
        part: The part of a large image that it shows; None if it shows all.
    """

    content: bytes
    size: Size
    whole: Size
    part: Rectangle | None = None


class Pictures:
    """Makes pictures, a few at a time, and keeps the last ones.

    Args:
        holds: Tells whether a file may be shown.
    """

    def __init__(self, holds: Callable[[Path], bool]) -> None:
        self._holds = holds
        self._kept: Newest[Picture] = Newest(_KEPT, lambda picture: len(picture.content))
        self._masks: dict[object, dict[Path, WholeMask]] = {}
        # Each takes the memory of a decoded image.
        self._turn = threading.BoundedSemaphore(max(1, reading_threads()))

    def photo(self, dataset: Dataset, sample: Sample, longest: int, corner: Size | None = None) -> Picture:
        """An image as JPEG.

        Args:
            dataset: The data set.
            sample: The pair.
            longest: Longest side of the picture.
            corner: First row and column of the part that is shown of a large image; None for its middle.

        Raises:
            Refused: It may not be shown.
            DataError: It cannot be read.
        """
        path = sample.image_path
        self.require([path])

        def made() -> Picture:
            if is_in_parts(path, dataset.reading):
                return _photo_of_part(path, dataset.reading, longest, corner)
            pixels, whole = reduced_image(path, dataset.reading, longest)
            return Picture(photo_jpeg(pixels), (pixels.shape[0], pixels.shape[1]), whole)

        return self._made(("photo", os_state(path), longest, corner, dataset.reading), made)

    def labels(self, dataset: Dataset, sample: Sample, longest: int, corner: Size | None = None) -> Picture:
        """The labels of a pair as an indexed PNG, transparent where pixels are ignored or their values are unknown.

        Args:
            dataset: The data set.
            sample: The pair.
            longest: As for `photo`.
            corner: As for `photo`.

        Raises:
            Refused: They may not be shown, or there are none.
            DataError: They cannot be read.
        """
        files = sample.mask_files
        if not files:
            raise Refused("It has no labels.")
        self.require(files)

        def made() -> Picture:
            if is_in_parts(sample.image_path, dataset.reading):
                return self._labels_of_part(sample, dataset, longest, corner)
            labels = labels_of(sample, dataset)
            whole = labels.shape[0], labels.shape[1]
            small = _by_nearest(labels, fitted(whole, longest))
            return Picture(labels_png(small, dataset.palette), (small.shape[0], small.shape[1]), whole)

        key = "labels", *map(os_state, files), longest, corner, dataset.label_table.threshold, dataset.reading
        return self._made(key, made)

    def region(self, dataset: Dataset, sample: Sample, left: int, top: int, width: int, height: int, *of: int) -> bytes:
        """A box of an image in a frame, with what is around it, as JPEG.

        Args:
            dataset: The data set.
            sample: The pair.
            left: First column of the box.
            top: First row of the box.
            width: Its width.
            height: Its height.
            of: Width and height of the image in which the box is given.

        Raises:
            Refused: It may not be shown.
            DataError: It cannot be read.
        """
        path = sample.image_path
        self.require([path])
        with self._turn:
            if is_in_parts(path, dataset.reading):
                raise Refused("Regions of images that are read in parts are not cut out.")
            pixels = as_picture(load_image(path, dataset.reading)[0])
        across, down = pixels.shape[1] / of[0], pixels.shape[0] / of[1]
        x, right = round(left * across), round((left + width) * across)
        y, bottom = round(top * down), round((top + height) * down)
        rows, columns = _around(y, bottom, pixels.shape[0]), _around(x, right, pixels.shape[1])
        cut = np.ascontiguousarray(pixels[rows, columns])
        scale = _CUT / max(cut.shape[:2])
        shape = max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale))
        cut = cv2.resize(cut, shape, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        first = round((x - columns.start) * scale), round((y - rows.start) * scale)
        last = round((right - columns.start) * scale), round((bottom - rows.start) * scale)
        cv2.rectangle(cut, first, last, (0, 0, 0), 4)
        cv2.rectangle(cut, first, last, (255, 225, 77), 2)
        return photo_jpeg(cut)

    def require(self, paths: Sequence[Path]) -> None:
        """Refuse files that may not be shown.

        Raises:
            Refused: One of them lies outside the folders that were named.
        """
        for path in paths:
            if not self._holds(path):
                raise Refused(
                    f"{printable(path)} leads out of the folders that may be shown; `pixelwise ui --data FOLDER` "
                    "with the folder in which it really lies shows it."
                )

    def _made(self, key: object, make: Callable[[], Picture]) -> Picture:
        def in_turn() -> Picture:
            with self._turn:
                return make()

        return self._kept.get(key, in_turn)

    def _labels_of_part(self, sample: Sample, dataset: Dataset, longest: int, corner: Size | None) -> Picture:
        path, key = sample.mask_path, tuple(map(os_state, sample.mask_files))
        if path is None:
            raise Refused("It has no labels.")
        known = self._masks.get(key, {})
        refuse_other_sizes(sample, dataset.reading, known)
        with opened_mask(sample, path, dataset, known) as mask:
            self._masks[key] = known_of(mask, path)
            where = part_of(mask.size, corner)
            labels = mask.labels(where)
            if dataset.multilabel:
                labels = _last_class(labels, len(dataset.classes))
            small = _by_nearest(labels, fitted(where[2:], longest))
            return Picture(labels_png(small, dataset.palette), (small.shape[0], small.shape[1]), mask.size, where)


def os_state(path: Path) -> tuple[Path, str]:
    """A file with its size and time of change; one that is not there has another state than one that is."""
    try:
        return path, state_of(path)
    except OSError:
        return path, ""


def fitted(size: Size, longest: int) -> Size:
    """The size of a picture whose longest side is at most `longest`, with the proportions of `size`."""
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def part_of(size: Size, corner: Size | None) -> Rectangle:
    """The part of a large image that begins at a corner, as far as the image goes; its middle without a corner."""
    height, width = (min(WINDOW, side) for side in size)
    top, left = corner or ((size[0] - height) // 2, (size[1] - width) // 2)
    return Rectangle(min(max(0, top), size[0] - height), min(max(0, left), size[1] - width), height, width)


def reduced_image(path: Path, reading: Reading, longest: int) -> tuple[np.ndarray, Size]:
    """An image uint8 (h, w, 3), at most `longest` pixels long, and the (height, width) of the whole.

    A JPEG is decoded at a half, a quarter or an eighth of its size where that is enough.

    Raises:
        DataError: As `load_image`.
    """
    drafted = None if reading.channels is not None else _drafted(path, reading, longest)
    if drafted is None:
        pixels = as_picture(load_image(path, reading)[0])
        drafted = pixels, (pixels.shape[0], pixels.shape[1])
    pixels, whole = drafted
    height, width = fitted(whole, longest)
    if pixels.shape[:2] != (height, width):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return pixels, whole


def _drafted(path: Path, reading: Reading, longest: int) -> tuple[np.ndarray, Size] | None:
    """A JPEG decoded at a reduced size; None for other files, and for those that are not intact."""
    with open_regular(path) as stream:
        if stream.read(len(_JPEG)) != _JPEG:
            return None
        stream.seek(0)
        try:
            image = JpegImageFile(stream)
            width, height = image.size
            if width * height > reading.max_pixels or image.mode not in ("L", "RGB"):
                return None
            scale = longest / max(width, height)
            image.draft(image.mode, (math.ceil(width * scale), math.ceil(height * scale)))
            image.load()
            orientation = stated_orientation(image) if reading.exif == "apply" else 1
            pixels = np.asarray(image.convert("RGB"))
        # Decoders raise nearly anything on damaged input; decoding it whole says what is wrong.
        except Exception:
            return None
    upright = turned_upright(pixels, orientation)
    return upright, (height, width) if orientation < 5 else (width, height)


def labels_of(sample: Sample, dataset: Dataset) -> np.ndarray:
    """Class ids uint8 (H, W), 255 where pixels are ignored or their values are unknown.

    Of several classes of a pixel (multi-label data), the last one is taken.

    Raises:
        DataError: A mask cannot be read.
    """
    if dataset.multilabel:
        found = read_class_masks(sample, dataset, None)
        if found.labels is None:
            raise found.errors[0][1]
        return _last_class(found.labels, len(dataset.classes))
    if sample.mask_path is None:
        raise DataError("D220", f"{printable(sample.image_path)}: the image has no mask", "add the mask")
    reading, table = dataset.reading, dataset.label_table
    return translate(load_mask(sample.mask_path, table, max_pixels=reading.max_pixels, exif=reading.exif), table).labels


def _last_class(bits: np.ndarray, classes: int) -> np.ndarray:
    """The last class of each pixel uint8 (H, W), 255 where there is none, from bit fields."""
    result = np.full(bits.shape, IGNORE, np.uint8)
    for class_id in range(classes):
        result[(bits & (1 << class_id)) != 0] = class_id
    return result


def labels_png(labels: np.ndarray, palette: Sequence[Color]) -> bytes:
    """Class ids uint8 (H, W) as an indexed PNG in which ignored pixels are transparent."""
    picture = Image.fromarray(labels)
    picture.putpalette(color_table(palette).tobytes())
    stream = io.BytesIO()
    picture.save(stream, "PNG", transparency=IGNORE, compress_level=1)
    return stream.getvalue()


def _photo_of_part(path: Path, reading: Reading, longest: int, corner: Size | None) -> Picture:
    with ImageRegions(path, reading) as image:
        where = part_of(image.size, corner)
        pixels = as_picture(np.ascontiguousarray(image.read(where).pixels))
        height, width = fitted(where[2:], longest)
        if pixels.shape[:2] != (height, width):
            pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        return Picture(photo_jpeg(pixels), (height, width), image.size, where)


def _around(begin: int, end: int, whole: int) -> slice:
    """Pixels of one side of what is cut out: twice the box, which is in its middle as far as the image goes."""
    wanted = min(whole, max(_LEAST_CUT, 2 * (end - begin)))
    first = min(max(0, (begin + end - wanted) // 2), whole - wanted)
    return slice(first, first + wanted)


def _by_nearest(labels: np.ndarray, size: Size) -> np.ndarray:
    if labels.shape == tuple(size):
        return labels
    return cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def photo_jpeg(pixels: np.ndarray) -> bytes:
    """An image uint8 (h, w, 3) as JPEG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=85)
    return stream.getvalue()
