"""The files of a prediction at full size, and layers that are read from them: class ids, and errors by kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.evaluation.details import BORDER, near_border
from pixelwise.pages.errors import composed_kinds, kinds_of
from pixelwise.prediction.large.previews import reduction
from pixelwise.recipes.sizes import Size

PREDICTION, REGIONS = "prediction", "regions"
"""Class ids uint8 (H, W) of all pixels; the kinds of wrong regions, uint8 (h, w), as `region_kinds` gives them."""
MOST_REGION_PIXELS = 1 << 24
"""Pixels of images whose wrong regions are looked at as they are: of larger ones, only every 2nd, 3rd, ... pixel is."""


class Stored:
    """Values uint8 (H, W) in a file, of which the rectangle that is read takes memory, and no more."""

    def __init__(self, path: Path, size: Size) -> None:
        self._path, self.size = path, size

    def read(self, where: Rectangle) -> np.ndarray:
        """See `Source.read`."""
        # Opened for each: pages of a file that stay mapped count as memory of the process.
        values = np.memmap(self._path, np.uint8, "r", shape=tuple(self.size))
        return np.array(values[where.top : where.bottom, where.left : where.right])

    def close(self) -> None:
        """See `Source.close`."""


class Enlarged:
    """Values of a reduced picture uint8 (h, w), at the full size (H, W) of its image."""

    def __init__(self, picture: np.ndarray, size: Size) -> None:
        self._picture, self.size = picture, size

    def read(self, where: Rectangle) -> np.ndarray:
        """See `Source.read`."""
        height, width = self._picture.shape
        rows = (2 * np.arange(where.top, where.bottom) + 1) * height // (2 * self.size[0])
        columns = (2 * np.arange(where.left, where.right) + 1) * width // (2 * self.size[1])
        return self._picture[np.ix_(rows, columns)]

    def close(self) -> None:
        """See `Source.close`."""


def reduced_kinds(truth: np.ndarray, prediction: np.ndarray, size: Size) -> Enlarged:
    """Errors by kind of a reduced picture, at the full size of its image."""
    return Enlarged(kinds_of(truth, prediction), size)


class Kinds:
    """Errors by kind at full size, uint8 (H, W): 0 where nothing is wrong.

    Args:
        truth: Reads rectangles of the truth, uint8 (h, w); 255 = ignored.
        folder: Folder of the prediction.
        size: (height, width) of the image.
    """

    def __init__(self, truth: Callable[[Rectangle], np.ndarray], folder: Path, size: Size) -> None:
        self._truth, self.size = truth, size
        self._prediction = Stored(folder / PREDICTION, size)
        self._factor = reduction(size, MOST_REGION_PIXELS)
        self._regions = Stored(folder / REGIONS, (-(-size[0] // self._factor), -(-size[1] // self._factor)))

    def read(self, where: Rectangle) -> np.ndarray:
        """See `Source.read`."""
        top, left = max(0, where.top - BORDER), max(0, where.left - BORDER)
        bottom, right = min(self.size[0], where.bottom + BORDER), min(self.size[1], where.right + BORDER)
        around = self._truth(Rectangle(top, left, bottom - top, right - left))
        inside = np.s_[where.top - top : where.bottom - top, where.left - left : where.right - left]
        return composed_kinds(
            around[inside], self._prediction.read(where), near_border(around)[inside], self._regions_of(where)
        )

    def close(self) -> None:
        """See `Source.close`."""

    def _regions_of(self, where: Rectangle) -> np.ndarray:
        step = self._factor
        first, last = (where.top // step, where.left // step), ((where.bottom - 1) // step, (where.right - 1) // step)
        cells = self._regions.read(Rectangle(*first, last[0] - first[0] + 1, last[1] - first[1] + 1))
        rows = np.arange(where.top, where.bottom) // step - first[0]
        columns = np.arange(where.left, where.right) // step - first[1]
        return cells[np.ix_(rows, columns)]
