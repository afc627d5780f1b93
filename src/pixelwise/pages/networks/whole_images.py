"""Predictions of large images at their own size, written into files from which the server reads tiles."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.reading.regions.images import Region
from pixelwise.datasets.reading.regions.pairs import PairRegions, is_in_parts
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.evaluation.large import Rules, applies_in_parts, scored_blocks
from pixelwise.evaluation.pairs import pairs_of
from pixelwise.evaluation.passes import predict_pair
from pixelwise.models import SegmentationModel
from pixelwise.pages.errors import region_kinds
from pixelwise.pages.large.files import MOST_REGION_PIXELS, PREDICTION, REGIONS
from pixelwise.prediction.large.previews import middles, reduction
from pixelwise.recipes.sizes import Size

AT_ONCE = 1 << 24
"""Pixels up to which an image that can be decoded whole is predicted as it was scored; larger ones are in parts."""


class Left(Exception):
    """Nobody waits for the prediction any more."""


class _Pair(NamedTuple):
    """An image and its labels, of which rectangles are read; `whole` is all of it, unless it is read in parts."""

    size: Size
    read: Callable[[Rectangle], Region]
    labels: Callable[[Rectangle], np.ndarray]
    whole: tuple[np.ndarray, np.ndarray] | None = None


def write_whole(model: SegmentationModel, sample: Sample, dataset: Dataset, rules: Rules, folder: Path) -> None:
    """Predict an image at its own size and write its class ids, and what its wrong regions are.

    Args:
        model: The network, in evaluation mode.
        sample: A sample of `dataset`, which has one class per pixel.
        dataset: The data set.
        rules: How it was scored; the protocol scores at the size of the labels.
        folder: Existing folder for `PREDICTION`, which grows by rows, and `REGIONS`. Once it is removed, the prediction
            is given up.

    Raises:
        DataError: The image or its mask cannot be read, or its labels are of another size.
        Left: The folder was removed.
    """
    with _opened(sample, dataset) as pair:
        factor = reduction(pair.size, MOST_REGION_PIXELS)
        chosen = [middles(side, factor) for side in pair.size]
        truth, found = (np.zeros([len(one) for one in chosen], np.uint8) for _ in range(2))
        with (folder / PREDICTION).open("xb") as file:
            for where, labels in _bands(model, sample, pair, rules, folder):
                if not folder.exists():
                    raise Left
                file.write(labels.tobytes())
                rows = np.flatnonzero((chosen[0] >= where.top) & (chosen[0] < where.bottom))
                inside = np.ix_(chosen[0][rows] - where.top, chosen[1])
                found[rows], truth[rows] = labels[inside], pair.labels(where)[inside]
        (folder / REGIONS).write_bytes(region_kinds(truth, found).tobytes())


@contextlib.contextmanager
def _opened(sample: Sample, dataset: Dataset) -> Iterator[_Pair]:
    if is_in_parts(sample.image_path, dataset.reading):
        with PairRegions(sample, dataset) as pair:
            size = pair.regions.size
            yield _Pair(size, lambda where: Region(pair.regions.read(where).pixels), pair.mask.labels)
        return
    image, labels = read_pair(sample, dataset, fit=False)
    size = labels.shape[0], labels.shape[1]
    if image.shape[:2] != size:
        raise DataError("D201", f"{sample.id}: image and labels are of different sizes", "see `pixelwise check`")

    def cut(pixels: np.ndarray, where: Rectangle) -> np.ndarray:
        return pixels[where.top : where.bottom, where.left : where.right]

    yield _Pair(size, lambda where: Region(cut(image, where)), lambda where: cut(labels, where), (image, labels))


def _bands(
    model: SegmentationModel, sample: Sample, pair: _Pair, rules: Rules, scratch: Path
) -> Iterator[tuple[Rectangle, np.ndarray]]:
    """Class ids uint8 (h, W) of all columns, from the top."""
    height, width = pair.size
    if pair.whole is not None and (math.prod(pair.size) <= AT_ONCE or not applies_in_parts(rules.protocol)):
        (seen,) = pairs_of(sample, *pair.whole, (rules.protocol,), rules.input_size)
        labels = predict_pair(model, seen, rules.protocol).cpu().numpy().astype(np.uint8)
        yield Rectangle(0, 0, height, width), labels
        return
    band = np.empty((0, width), np.uint8)
    for block in scored_blocks(model, pair.read, pair.size, rules, scratch):
        where = block.where
        if where.left == 0:
            band = np.empty((where.height, width), np.uint8)
        band[:, where.left : where.right] = block.labels
        if where.right == width:
            yield Rectangle(where.top, 0, where.height, width), band
