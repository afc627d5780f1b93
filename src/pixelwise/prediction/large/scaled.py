"""Large images as the network sees images of its training: not at their own size, but at the same scale.

Rectangles are resized when they are asked for, with the surroundings that the filter needs, so that they join without
seams. Class ids are brought back to the image's own size by nearest neighbour.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from pixelwise.datasets.reading.regions.images import Region
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.prediction.large.blocks import Block
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.sizes import Size

_FILTERS = {"area": Image.Resampling.BOX}
"""A protocol's resampling -> Pillow's filter; bilinear with antialiasing for the others."""
_REACH = 2
"""Number of pixels of the result beyond which a filter never looks, on each side."""


class ScaledImage:
    """An image at another size.

    Args:
        read: Reads a rectangle of the image.
        size: (height, width) of the image.
        seen: (height, width) of the result; not larger.
        resampling: A protocol's resampling.
    """

    def __init__(self, read: Callable[[Rectangle], Region], size: Size, seen: Size, resampling: str) -> None:
        self._read, self._size, self._seen = read, size, seen
        self._steps = (size[0] / seen[0], size[1] / seen[1])
        self._filter = _FILTERS.get(resampling, Image.Resampling.BILINEAR)

    def read(self, where: Rectangle) -> Region:
        """A rectangle of the result; all of it is missing if all pixels that it shows are."""
        box = (
            where.left * self._steps[1],
            where.top * self._steps[0],
            where.right * self._steps[1],
            where.bottom * self._steps[0],
        )
        left, right = self._reach(box[0], box[2], 1)
        top, bottom = self._reach(box[1], box[3], 0)
        region = self._read(Rectangle(top, left, bottom - top, right - left))
        inner = (
            max(box[0] - left, 0.0),
            max(box[1] - top, 0.0),
            min(box[2] - left, right - left),
            min(box[3] - top, bottom - top),
        )
        pixels = _resized(region.pixels, (where.height, where.width), self._filter, inner)
        gone = region.missing is not None and bool(region.missing.all())
        return Region(pixels, np.ones((where.height, where.width), bool) if gone else None)

    def enlarged(self, block: Block) -> Block:
        """A block of the result as a block of the image, with its pixels; missing ones are ignored."""
        top, bottom = self._range(block.where.top, block.where.bottom, 0)
        left, right = self._range(block.where.left, block.where.right, 1)
        where = Rectangle(top, left, bottom - top, right - left)
        rows = np.arange(top, bottom) * self._seen[0] // self._size[0] - block.where.top
        columns = np.arange(left, right) * self._seen[1] // self._size[1] - block.where.left
        region, labels = self._read(where), block.labels[rows][:, columns]
        if region.missing is not None:
            nothing = np.uint8(IGNORE) if labels.dtype == np.uint8 else labels.dtype.type(0)
            labels = np.where(region.missing, nothing, labels)
        probabilities = block.probabilities
        if probabilities is not None:
            probabilities = probabilities[rows][:, columns]
            if region.missing is not None:
                probabilities[region.missing] = 0
        return Block(where, labels, region.pixels, probabilities)

    def _reach(self, first: float, last: float, axis: int) -> tuple[int, int]:
        """The pixels of the image that a filter looks at, for an interval of it."""
        margin = _REACH * max(self._steps[axis], 1.0)
        return max(0, math.floor(first - margin)), min(self._size[axis], math.ceil(last + margin))

    def _range(self, first: int, last: int, axis: int) -> tuple[int, int]:
        """The pixels of the image that show pixels `first` to `last - 1` of the result."""
        return tuple(-(-one * self._size[axis] // self._seen[axis]) for one in (first, last))  # type: ignore[return-value]


def _resized(
    pixels: np.ndarray, size: Size, filter: Image.Resampling, box: tuple[float, float, float, float]
) -> np.ndarray:
    """The part of an image uint8 (H, W, C) within a box (left, top, right, bottom), resized."""
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize((size[1], size[0]), filter, box))
        for plane in np.moveaxis(pixels, 2, 0)
    ]
    return np.stack(planes, axis=2)
