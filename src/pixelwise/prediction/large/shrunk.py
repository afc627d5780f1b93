"""Large images that the network sees at another, smaller size, as its protocol or its input size demand.

The image is shrunk part by part, first along its rows and then along its columns, as Pillow does it. The network sees
the result like any other image of that size, and its class ids are enlarged by bands of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from pixelwise.datasets.reading.regions.images import Region
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.models import SegmentationModel
from pixelwise.prediction.large.blocks import Block, in_steps
from pixelwise.prediction.network import NetworkOutput, label_bands, main_logits, probability_bands, views_of
from pixelwise.prediction.sizes import RESIZE
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.schema.training import Precision
from pixelwise.recipes.sizes import Size

ROWS, COLUMNS = 512, 2048
"""Height and width of the parts in which the image is read."""

DEFAULT = Precision()
"""The number format and memory layout unless others are asked for."""

Read = Callable[[Rectangle], Region]
"""Reads a rectangle of an image."""


def shrunken(read: Read, size: Size, wanted: Size, resampling: str) -> np.ndarray:
    """An image at a smaller size, uint8 (h, w, C).

    Args:
        read: Reads a rectangle of the image.
        size: (height, width) of the image.
        wanted: (height, width) of the result.
        resampling: A protocol's resampling.
    """
    resize = RESIZE[resampling]
    # The mean of columns needs whole rows, so that these are read in bands.
    narrow = [
        resize(read(Rectangle(first, 0, height, size[1])).pixels, (height, wanted[1]))
        for first, height in _bands(size, ROWS // 2)
    ]
    return resize(np.concatenate(narrow), wanted)


def shrunk_blocks(
    model: SegmentationModel,
    read: Read,
    size: Size,
    seen: np.ndarray,
    protocol: Protocol,
    *,
    probabilities: bool = False,
    precision: Precision = DEFAULT,
) -> Iterator[Block]:
    """The blocks of an image that the network sees at another size, from left to right and from top to bottom.

    Args:
        model: The network, in evaluation mode.
        read: Reads a rectangle of the image.
        size: (height, width) of the image.
        seen: The image as the network sees it, uint8 (h, w, C).
        protocol: Protocol that defines windows, padding, and where the decision is taken.
        probabilities: Whether blocks have the probabilities of the classes.
        precision: Number format and memory layout.
    """
    if protocol.one_look:
        output: NetworkOutput = main_logits(model, [seen], precision, pad_to=protocol.pad_to)
    else:
        output = views_of(model, [seen], protocol, precision, keep=probabilities)
    waiting: list[np.ndarray] = []
    top = rows = 0
    seen_size = (seen.shape[0], seen.shape[1])
    steps = None
    if probabilities:
        steps = _Steps(in_steps(band) for _, band in probability_bands(model, output, seen_size, size, protocol))
    for _, labels in label_bands(model, output, seen_size, size, protocol):
        waiting.append(labels.cpu().numpy())
        rows += len(labels)
        # Bands are of few rows, while tiles of the file have hundreds: each would be decoded for every band.
        if rows >= ROWS or top + rows == size[0]:
            band = None if steps is None else steps.next(rows)
            yield from _blocks(read, size, top, (np.concatenate(waiting), band), several=model.multilabel)
            waiting, top, rows = [], top + rows, 0


class _Steps:
    """Probabilities uint8 (R, W, K) in bands of other heights than those in which they come."""

    def __init__(self, bands: Iterator[np.ndarray]) -> None:
        self._bands, self._left = bands, list[np.ndarray]()

    def next(self, rows: int) -> np.ndarray:
        """The next rows."""
        while sum(map(len, self._left)) < rows:
            self._left.append(next(self._bands))
        found = np.concatenate(self._left)
        self._left = [found[rows:]]
        return found[:rows]


def _blocks(
    read: Read, size: Size, top: int, values: tuple[np.ndarray, np.ndarray | None], *, several: bool
) -> Iterator[Block]:
    """The blocks of rows from `top` on, with their class ids or bit fields (R, W), and probabilities (R, W, K)."""
    labels, steps = values
    for left in range(0, size[1], COLUMNS):
        where = Rectangle(top, left, len(labels), min(COLUMNS, size[1] - left))
        region, own = read(where), labels[:, where.left : where.right]
        if region.missing is not None:
            own = np.where(region.missing, np.int32(0) if several else np.uint8(IGNORE), own)
        probabilities = None if steps is None else steps[:, where.left : where.right]
        if probabilities is not None and region.missing is not None:
            probabilities[region.missing] = 0
        yield Block(where, own, region.pixels, probabilities)


def _bands(size: Size, rows: int) -> Iterator[tuple[int, int]]:
    """First row and number of rows of the bands of an image."""
    for first in range(0, size[0], rows):
        yield first, min(rows, size[0] - first)
