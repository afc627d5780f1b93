"""Images with their labels that are too large to be decoded whole: what a crop shows of them is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pixelwise.datasets.reading.masks import no_mask
from pixelwise.datasets.reading.regions.class_masks import ClassMaskRegions
from pixelwise.datasets.reading.regions.images import ImageRegions, large_image
from pixelwise.datasets.reading.regions.masks import KEPT_BYTES, MaskRegions, WholeMask
from pixelwise.datasets.reading.regions.measuring import class_pixels
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.datasets.reading.regions.sizes import sizes_error, stated_sizes
from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.errors import DataError
from pixelwise.recipes.sizes import Size
from pixelwise.storage import printable
from pixelwise.transforms.parts import Part, Window


class Learnt:
    """What is learnt of a mask when it is read for the first time, and holds for later readings.

    Attributes:
        whole: What is known of the whole mask, or masks, by path.
        counts: Number of pixels by band and class id, int64 (bands, 256).
    """

    def __init__(self) -> None:
        self.whole: dict[Path, WholeMask] = {}
        self.counts: np.ndarray | None = None


class PairRegions:
    """An image and its labels, of which parts are read; a context that closes the files.

    Args:
        sample: A sample of `dataset` for which `is_in_parts` is true.
        dataset: Data set whose label table and reading options are used.
        learnt: What earlier readings learnt; receives what this one learns.

    Attributes:
        image: The image.
        labels: The labels, of the size of the image: class ids, or bit fields of multi-label data.
        regions: Reads rectangles of the image.
        mask: Reads rectangles of the mask, or of the masks of all classes.

    Raises:
        DataError: D110 and D201, image and mask are not of the same size; those of `ImageRegions` and `MaskRegions`.
        ResourceError: Those of `MaskRegions`.
    """

    def __init__(self, sample: Sample, dataset: Dataset, learnt: Learnt | None = None) -> None:
        learnt, path = learnt or Learnt(), sample.mask_path
        if path is None:
            raise no_mask(sample.image_path)
        self.regions = ImageRegions(sample.image_path, dataset.reading, KEPT_BYTES)
        try:
            self._compare(sample, stated_sizes(sample, dataset.reading, learnt.whole), dataset.reading)
            self.mask = opened_mask(sample, path, dataset, learnt.whole)
            try:
                learnt.whole = known_of(self.mask, path)
                self._compare(sample, mask_sizes(self.mask, path), dataset.reading)
            except BaseException:
                self.mask.close()
                raise
        except BaseException:
            self.regions.close()
            raise
        self._learnt, self._path = learnt, path
        self.image = _ImageParts(self.regions, dataset.reading)
        self.labels = _LabelParts(self.mask, learnt)

    def __enter__(self) -> PairRegions:
        return self

    def __exit__(self, *_: object) -> None:
        self._learnt.whole = known_of(self.mask, self._path)  # some is only learnt when labels ask for it
        self.mask.close()
        self.regions.close()

    def _compare(self, sample: Sample, masks: Mapping[Path, Size], reading: Reading) -> None:
        """Refuse masks whose size is not that of the image."""
        found = sizes_error(sample, self.regions.size, masks, self.regions.orientation, reading)
        if found is not None:
            raise found[1]


def opened_mask(
    sample: Sample, path: Path, dataset: Dataset, known: Mapping[Path, WholeMask]
) -> MaskRegions | ClassMaskRegions:
    """The mask of a sample, or the masks of its classes, to read parts of.

    Args:
        sample: A sample of `dataset`.
        path: Its mask, or the first one.
        dataset: Data set whose label table and reading options are used.
        known: What is known of whole masks, by path.

    Raises:
        DataError: As `MaskRegions`.
        ResourceError: As `MaskRegions`.
    """
    if dataset.multilabel:
        return ClassMaskRegions(sample, dataset, known)
    return MaskRegions(path, dataset.label_table, dataset.reading, len(dataset.classes), known.get(path))


def known_of(mask: MaskRegions | ClassMaskRegions, path: Path) -> dict[Path, WholeMask]:
    """What is known of the whole mask at a path, or of the masks of all classes."""
    return {path: mask.known} if isinstance(mask, MaskRegions) else mask.known


def is_in_parts(path: Path, reading: Reading) -> bool:
    """Whether an image is read in parts for training and scoring: a TIFF file of more pixels than are decoded whole."""
    return large_image(path, reading.max_pixels) is not None


def mask_sizes(mask: MaskRegions | ClassMaskRegions, path: Path) -> dict[Path, Size]:
    """The size of the mask at a path, or of each of the masks of all classes."""
    if isinstance(mask, MaskRegions):
        return {path: mask.size}
    return {path: one.size for path, one in mask.masks.items()}


class _ImageParts:
    """Parts of an image, uint8 (H, W, C)."""

    def __init__(self, regions: ImageRegions, reading: Reading) -> None:
        self._regions, self._most = regions, reading.max_pixels
        channels = 3 if reading.channels is None else len(reading.channels)
        self.shape = (*regions.size, channels)

    def part(self, window: Window) -> Part:
        if window.pixels > self._most:
            raise DataError(
                "D120",
                f"{printable(self._regions.path)}: a crop shows {window.pixels / 1e6:.1f} million pixels of the image; "
                f"data.max_pixels allows {self._most / 1e6:.1f} million",
                "let a crop show less of it: leave out augment.fit, raise augment.scale or lower augment.crop; "
                "augment.resampling=area needs all of a shrunk image, antialiased does not",
            )
        return Part(self._regions.read(_rectangle(window)).pixels, window.top, window.left, self._regions.size)


class _LabelParts:
    """Parts of the labels, uint8 (H, W), or int32 (H, W) bit fields of multi-label data."""

    def __init__(self, mask: MaskRegions | ClassMaskRegions, learnt: Learnt) -> None:
        self._mask, self._learnt = mask, learnt
        self.shape = mask.size

    def part(self, window: Window) -> Part:
        return Part(self._mask.labels(_rectangle(window)), window.top, window.left, self._mask.size)

    def counts(self) -> np.ndarray:
        return self._by_band().sum(axis=0)

    def pixel(self, class_id: int, number: int) -> tuple[int, int]:
        ends = np.cumsum(self._by_band()[:, class_id])
        band = int(np.searchsorted(ends, number, side="right"))
        where = list(self._mask.bands())[band]
        before = int(ends[band - 1]) if band else 0
        labels = self._mask.labels(where).ravel()
        of_class = labels == class_id if labels.dtype == np.uint8 else labels & (1 << class_id)
        place = np.flatnonzero(of_class)[number - before]
        row, column = divmod(int(place), where.width)
        return where.top + row, column

    def _by_band(self) -> np.ndarray:
        if self._learnt.counts is None:
            labels = (self._mask.labels(where) for where in self._mask.bands())
            self._learnt.counts = np.stack(
                [
                    np.bincount(one.ravel(), minlength=256) if one.dtype == np.uint8 else class_pixels(one)
                    for one in labels
                ]
            )
        return self._learnt.counts


def _rectangle(window: Window) -> Rectangle:
    return Rectangle(window.top, window.left, window.bottom - window.top, window.right - window.left)
