"""What an audit adds up over the pairs: sums, and a few bytes of each image to compare it by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pixelwise.datasets.auditing.correspondence import Grids
from pixelwise.datasets.auditing.examination import Examination
from pixelwise.datasets.auditing.near_duplicates import Looks
from pixelwise.datasets.samples import Dataset
from pixelwise.recipes.class_sets.tables import IGNORE


class SplitSums:
    """Counts over the pairs of one split, which are added in their order.

    Args:
        dataset: The data set.
        number: Number of pairs of the split.

    Attributes:
        images: Number of usable pairs.
        counts: int64 (256,), labelled pixels of the usable pairs by class id (255 = ignored).
        area: Number of pixels of the usable pairs.
        images_with_class: int64 (K,), number of images that contain each class.
        area_with_class: int64 (K,), number of pixels of these images.
        unusable: Ids of the pairs with errors.
        looks: What tells the images apart.
    """

    def __init__(self, dataset: Dataset, number: int) -> None:
        classes, channels = len(dataset.classes), len(dataset.reading.channels or (0, 1, 2))
        self.images = self.area = 0
        self.counts = np.zeros(256, np.int64)
        self.images_with_class, self.area_with_class = np.zeros((2, classes), np.int64)
        self.unusable: list[str] = []
        self.looks = Looks(number)
        self._present = np.zeros((number, -(-classes // 8)), np.uint8)
        self._row = 0
        self._readable_area = 0
        self._means, self._squares = np.zeros((2, channels))

    @property
    def pixels(self) -> tuple[int, ...]:
        """Number of labelled pixels of each class."""
        return tuple(self.counts[: len(self.images_with_class)].tolist())

    def add(self, examination: Examination) -> None:
        """Add the next pair."""
        row, self._row = self._row, self._row + 1
        self.looks.set(row, examination.digest, examination.look)
        area = examination.size[0] * examination.size[1]
        if examination.errors:
            self.unusable.append(examination.sample.id)
        if examination.image is not None:
            self._readable_area += area
            self._means += area * np.array(examination.channel_means)
            self._squares += area * np.array(examination.channel_squares)
        if examination.pixels is not None:
            present = examination.pixels[: len(self.images_with_class)] > 0
            self.images, self.area = self.images + 1, self.area + area
            self.counts += examination.pixels
            self.images_with_class += present
            self.area_with_class += area * present
            self._present[row] = np.packbits(present)

    def rows_with(self, ids: Sequence[int]) -> np.ndarray:
        """Rows of the usable pairs that contain any of these classes, in increasing order."""
        wanted = np.zeros(len(self.images_with_class), bool)
        wanted[list(ids)] = True
        return np.flatnonzero((self._present & np.packbits(wanted)).any(axis=1))

    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel over all pixels of the readable images, in 0..1."""
        if not self._readable_area:
            return (0.0,) * len(self._means), (1.0,) * len(self._means)
        means, squares = self._means / self._readable_area, self._squares / self._readable_area
        deviations = np.sqrt(np.maximum(squares - means**2, 0))
        return tuple((means / 255).tolist()), tuple((deviations / 255).tolist())

    @property
    def void_pixels(self) -> int:
        """Number of ignored pixels."""
        return int(self.counts[IGNORE])


class WholeSums:
    """What is counted over all splits together.

    Attributes:
        sizes: Size of a readable image -> number of images.
        encodings: Encoding of a mask -> number of masks.
        turned: Hashes of the paths of the image files that state another orientation than upright.
        grids: Split, id and grids of the pairs whose masks are compared with their photos.
        tiffs: The paths of the TIFF images, each once.
    """

    def __init__(self) -> None:
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.encodings: Counter[str] = Counter()
        self.turned: set[int] = set()
        self.grids: list[tuple[str, str, Grids]] = []
        self.tiffs: dict[Path, None] = {}

    def add(self, examination: Examination) -> None:
        """Add one pair."""
        if examination.image is not None:
            self.sizes[examination.size] += 1
            if examination.image.format == "TIFF":
                self.tiffs[examination.sample.image_path] = None
            if examination.image.orientation != 1:
                self.turned.add(hash(examination.sample.image_path))
        if examination.encoding:
            self.encodings[examination.encoding] += 1
        if examination.grids.edges:
            self.grids.append((examination.split, examination.sample.id, examination.grids))
