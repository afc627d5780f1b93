"""Reduced pictures of large images and their class ids, made from parts as they come."""

from __future__ import annotations

import math

import numpy as np

from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.recipes.sizes import Size

PREVIEW_PIXELS = 1 << 22
"""Largest number of pixels of the picture of an image that is predicted in parts."""
_COLORS = 3
_BAND = 64


class Preview:
    """An image and its class ids at an n-th of their size: the mean of n x n pixels, and the class id in their middle.

    Args:
        size: (height, width) of the image.
        channels: Number of channels; of more than four, the first four are kept, of which pictures show three.
        classes: Type of the class ids or bit fields.
        most_pixels: Largest number of pixels of the picture.

    Attributes:
        factor: Number n by which sides are divided.
        labels: Class ids or bit fields (h, w); complete once all parts were added.
    """

    def __init__(
        self, size: Size, channels: int, classes: np.dtype | type = np.uint8, most_pixels: int = PREVIEW_PIXELS
    ) -> None:
        self._size = size
        self.factor = reduction(size, most_pixels)
        height, width = (-(-side // self.factor) for side in size)
        # A fourth one says that the first three are bands, not colours.
        self._channels = min(channels, _COLORS + 1)
        self._sums = np.zeros((height, width, self._channels), np.uint32)
        self.labels = np.zeros((height, width), classes)

    def add(self, where: Rectangle, pixels: np.ndarray, labels: np.ndarray | None = None) -> None:
        """Add a part of the image; every pixel is added once.

        Args:
            where: The part.
            pixels: uint8 (h, w, C).
            labels: Class ids or bit fields (h, w); None to leave them out.
        """
        rows, columns = _cells(where.top, where.bottom, self.factor), _cells(where.left, where.right, self.factor)
        shown = pixels[..., : self._channels]
        if shown.strides[:2] == (0, 0):
            # A part of a sparse file, all of whose pixels are one.
            down, across = (
                np.diff(np.append(starts, length)).astype(np.uint32)
                for starts, length in ((rows[1], where.height), (columns[1], where.width))
            )
            sums = (down[:, None] * across)[..., None] * shown[0, 0].astype(np.uint32)
        else:
            sums = np.add.reduceat(np.add.reduceat(shown, rows[1], axis=0, dtype=np.uint32), columns[1], axis=1)
        self._sums[rows[0], columns[0]] += sums
        if labels is not None:
            self.put(self.labels, where, labels)

    def put(self, reduced: np.ndarray, where: Rectangle, labels: np.ndarray) -> None:
        """Put the class ids or bit fields (h, w) of a part into reduced ones, of the size of the picture."""
        down, across = (middles(side, self.factor) for side in self._size)
        inside_rows = np.flatnonzero((down >= where.top) & (down < where.bottom))
        inside_columns = np.flatnonzero((across >= where.left) & (across < where.right))
        chosen = labels[np.ix_(down[inside_rows] - where.top, across[inside_columns] - where.left)]
        reduced[np.ix_(inside_rows, inside_columns)] = chosen

    @property
    def image(self) -> np.ndarray:
        """The picture of all parts, uint8 (h, w, C) of at most four channels."""
        return _means(self._sums, self._size, self.factor)


def reduction(size: Size, most_pixels: int) -> int:
    """The smallest number by which the sides of an image are divided so that it has at most `most_pixels` pixels."""
    factor = max(1, math.isqrt(max(size[0] * size[1] - 1, 0) // most_pixels))
    while -(-size[0] // factor) * -(-size[1] // factor) > most_pixels:
        factor += 1
    return factor


def middles(length: int, factor: int) -> np.ndarray:
    """Indices int64 of the middle one of every `factor` pixels."""
    starts = np.arange(0, length, factor)
    return np.minimum(starts + factor // 2, length - 1)


def reduced_image(image: np.ndarray, most_pixels: int) -> np.ndarray:
    """An image uint8 (H, W, C) reduced like a `Preview`, by bands of rows; itself if it is small enough."""
    size = (image.shape[0], image.shape[1])
    factor = reduction(size, most_pixels)
    if factor == 1:
        return image
    shown = image[..., : _COLORS + 1]
    columns, found = np.arange(0, size[1], factor), []
    for first in range(0, size[0], _BAND * factor):
        rows = shown[first : first + _BAND * factor]
        sums = np.add.reduceat(rows, np.arange(0, len(rows), factor), axis=0, dtype=np.uint32)
        found.append(_means(np.add.reduceat(sums, columns, axis=1), (len(rows), size[1]), factor))
    return np.concatenate(found)


def _means(sums: np.ndarray, size: Size, factor: int) -> np.ndarray:
    """Means uint8 of the cells of an image of that (height, width) from their sums uint32 (h, w, C)."""
    down, across = (_lengths(side, factor) for side in size)
    area = (down[:, None] * across)[..., None].astype(np.uint32)
    return ((sums + area // 2) // area).astype(np.uint8)


def _cells(first: int, last: int, factor: int) -> tuple[slice, np.ndarray]:
    """The cells that hold positions `first` to `last - 1`, and where each of them begins among these."""
    cells = np.arange(first // factor, (last - 1) // factor + 1)
    return slice(int(cells[0]), int(cells[-1]) + 1), np.maximum(cells * factor - first, 0)


def _lengths(length: int, factor: int) -> np.ndarray:
    """Number of pixels in each cell of a side."""
    starts = np.arange(0, length, factor)
    return np.minimum(starts + factor, length) - starts
