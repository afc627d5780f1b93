"""What an audit measures of images and masks that are read in parts, band by band."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelwise.datasets.labels import LabelTable, color_codes, count_values, neither_black_nor_white, semantic_ids
from pixelwise.datasets.reading.areas import MAX_VALUES, Areas, joined, measure
from pixelwise.datasets.reading.mask_values import RawMask
from pixelwise.datasets.reading.masks import MaskCounts, class_mask_error, is_snapped, no_mask, translate, values_error
from pixelwise.datasets.reading.regions.class_masks import ClassMaskRegions
from pixelwise.datasets.reading.regions.images import ImageRegions
from pixelwise.datasets.reading.regions.masks import MaskRegions, bands
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.datasets.reading.regions.sizes import stated_sizes
from pixelwise.datasets.reading.tolerance import Strangers
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import IGNORE, IGNORE_BIT
from pixelwise.recipes.sizes import Size

# A number of different colours that no mask of classes has, and that memory does not mind.
_MOST_COUNTED = 100 * MAX_VALUES


class ImageMeasures(NamedTuple):
    """What is measured of an image.

    Attributes:
        means: Mean of each channel, 0..255.
        squares: Mean of the squared values of each channel.
        sample: Every n-th pixel of every n-th row, uint8 (h, w, C).
    """

    means: tuple[float, ...]
    squares: tuple[float, ...]
    sample: np.ndarray


class MaskMeasures(NamedTuple):
    """What is measured of a mask.

    Attributes:
        first: The mask's first row: what is said of all values.
        size: (height, width) of the mask.
        areas: Where the values lie.
        values: Raw value, or colour `0xrrggbb`, -> number of pixels, the most frequent first.
        unknown: The part of `values` that the label table does not name.
        pixels: Number of pixels by class id, int64 (256,), 255 = ignored.
    """

    first: RawMask
    size: tuple[int, int]
    areas: Areas
    values: dict[int, int]
    unknown: dict[int, int]
    pixels: np.ndarray

    @property
    def counts(self) -> MaskCounts:
        """What tells whether the values are valid."""
        colored = self.first.values.ndim == 3
        return MaskCounts(
            self.first.encoding, self.first.lossless, self.size, lambda: self.values, colored, self.unknown
        )


def measure_image(image: ImageRegions, most_sampled: int) -> ImageMeasures:
    """Measure an image.

    Args:
        image: The image.
        most_sampled: Number of pixels of which `sample` has about as many.

    Raises:
        DataError: The image cannot be read.
    """
    height, width = image.size
    step = max(1, int(np.sqrt(height * width / most_sampled)))
    sums: list[np.ndarray] = []
    rows: list[np.ndarray] = []
    for where in bands(image.size, image.rows):
        pixels = image.read(where).pixels
        # Counts of the 256 levels are exact, and need no wider copy of the pixels.
        levels = (np.bincount(pixels[..., channel].ravel(), minlength=256) for channel in range(pixels.shape[2]))
        sums.append(np.stack(list(levels)))
        rows.append(pixels[-where.top % step :: step, ::step].copy())
    counts, values = np.sum(sums, axis=0), np.arange(256)
    means, squares = (counts @ values / (height * width), counts @ values**2 / (height * width))
    return ImageMeasures(tuple(means.tolist()), tuple(squares.tolist()), np.concatenate(rows))


def measure_mask(mask: MaskRegions, table: LabelTable, *, semantic: bool = False) -> MaskMeasures:
    """Measure a mask.

    Args:
        mask: The mask.
        table: Its label table.
        semantic: Whether the values of masks with instance ids are those of the classes alone.

    Raises:
        DataError: The mask cannot be read.
    """
    values, unknown, strangers = Counter[int](), Counter[int](), Strangers(table)
    pixels, areas = np.zeros(256, np.int64), list[Areas]()
    for raw, inside in _surrounded(mask):
        if semantic and table.divisor is not None and raw.values.ndim == 2:
            raw = raw._replace(values=semantic_ids(raw.values, table.divisor))
        own = raw._replace(values=raw.values[inside])
        areas.append(measure(raw.values, inside))
        values.update(count_values(color_codes(own.values) if own.values.ndim == 3 else own.values))
        if is_snapped(raw, table):
            # The surroundings decide what becomes of values between two classes, and the whole mask which were drawn.
            labels = translate(raw, table).labels[inside]
            strangers.add(raw.values, inside)
        else:
            translation = translate(own, table)
            labels = translation.labels
            unknown.update(translation.unknown_ids or translation.unknown_colors)
        pixels += np.bincount(labels.ravel(), minlength=256)
        if len(values) > _MOST_COUNTED:
            values = Counter(dict(values.most_common(MAX_VALUES)))
    unknown.update(strangers.drawn())
    first = mask.raw(Rectangle(0, 0, 1, mask.size[1]))
    return MaskMeasures(first, mask.size, joined(areas), _ordered(values), _ordered(unknown), pixels)


class LabelMeasures(NamedTuple):
    """What is measured of the mask of an image, or of the masks of all classes.

    Attributes:
        sizes: (height, width) of each mask.
        errors: Masks with invalid values, with their errors.
        encoding: Storage format of the first mask, as in `RawMask`.
        pixels: Number of pixels by class id, int64 (256,), 255 = ignored; classes of multi-label data may overlap.
        mask: More of the mask; None for multi-label data.
    """

    sizes: dict[Path, Size]
    errors: list[tuple[Path, DataError]]
    encoding: str
    pixels: np.ndarray
    mask: MaskMeasures | None = None


def measure_labels(sample: Sample, dataset: Dataset, image: Size | None) -> LabelMeasures:
    """Measure the labels of an image that is read in parts.

    Args:
        sample: A sample of `dataset` with a mask.
        dataset: Data set whose label table and reading options are used.
        image: (height, width) of the image; None if it cannot be read. Of a mask of another size no more than its size
            is told if storing it in tiles would come first.

    Raises:
        DataError: A mask cannot be read; D220, there is none.
        ResourceError: As `MaskRegions`.
    """
    path, table = sample.mask_path, dataset.label_table
    if path is None:
        raise no_mask(sample.image_path)
    stated = stated_sizes(sample, dataset.reading)
    if any(size != image for size in stated.values()):
        return LabelMeasures(stated, [], "", np.zeros(256, np.int64))
    if dataset.multilabel:
        with ClassMaskRegions(sample, dataset) as masks:
            sizes = {one: mask.size for one, mask in masks.masks.items()}
            if len(set(sizes.values())) > 1:  # which is the error
                return LabelMeasures(sizes, [], "", np.zeros(256, np.int64))
            found = measure_class_masks(masks)
            return LabelMeasures(sizes, found.errors, f"{found.encoding}, one per class", found.pixels)
    with MaskRegions(path, table, dataset.reading, len(dataset.classes)) as mask:
        measured = measure_mask(mask, table)
    error = values_error(path, measured.counts, table, len(dataset.classes))
    errors = [] if error is None else [(path, error)]
    return LabelMeasures({path: measured.size}, errors, measured.first.encoding, measured.pixels, measured)


class ClassMeasures(NamedTuple):
    """What is measured of the masks of all classes of an image.

    Attributes:
        encoding: Storage format of the first mask, as in `RawMask`.
        errors: Invalid masks with their errors.
        pixels: Number of pixels by class id, int64 (256,), 255 = ignored; classes may overlap.
    """

    encoding: str
    errors: list[tuple[Path, DataError]]
    pixels: np.ndarray


def measure_class_masks(masks: ClassMaskRegions) -> ClassMeasures:
    """Measure the masks of all classes of an image, which are of equal size.

    Raises:
        DataError: A mask cannot be read.
    """
    values: dict[Path, Counter[int]] = {path: Counter() for path in masks.masks}
    last: dict[Path, RawMask] = {}
    pixels = np.zeros(256, np.int64)
    for where in masks.bands():
        last = masks.raw(where)
        present: dict[Path, np.ndarray] = {}
        for path, raw in last.items():
            # Colours are an error, whatever they are.
            flat = raw.values if raw.values.ndim == 2 else raw.values[..., 0]
            if masks.threshold is None:
                present[path] = flat != 0
                values[path].update(count_values(flat))
            else:
                present[path] = flat >= masks.threshold
        pixels += class_pixels(masks.joined(present, where))
    found = (
        (path, class_mask_error(path, raw, neither_black_nor_white(_ordered(values[path])), masks.threshold))
        for path, raw in last.items()
    )
    errors = [(path, error) for path, error in found if error is not None]
    return ClassMeasures(next(iter(last.values())).encoding, errors, pixels)


def class_pixels(labels: np.ndarray) -> np.ndarray:
    """Number of pixels by class id, int64 (256,), 255 = ignored, of bit fields int32 (h, w)."""
    pixels = np.zeros(256, np.int64)
    bits = int(np.bitwise_or.reduce(labels, axis=None)) & (IGNORE_BIT - 1)
    for bit in range(bits.bit_length()):
        pixels[bit] = np.count_nonzero(labels & (1 << bit))
    pixels[IGNORE] = np.count_nonzero(labels == IGNORE_BIT)
    return pixels


def _surrounded(mask: MaskRegions) -> Iterator[tuple[RawMask, slice]]:
    """The values of each band with a few rows around them, and which rows of these are the band."""
    for where in mask.bands():
        wider = mask.surrounded(where)
        yield mask.raw(wider), slice(where.top - wider.top, where.bottom - wider.top)


def _ordered(counts: Counter[int]) -> dict[int, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
