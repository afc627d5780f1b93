"""Counts of a single image: its confusions, its errors near borders, and the regions found, missed and invented."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.records.details import ClassPixels, ConfusedPixels, ImageDetails, RegionCounts, RegionSize

if TYPE_CHECKING:
    from pixelwise.metrics import ScoredImage

BORDER = 5
"""An error within this many pixels of a true class border counts as a misplaced border, not as a wrong region."""
SIZES: tuple[tuple[RegionSize, float], ...] = (("small", 32**2), ("medium", 96**2), ("large", float("inf")))
"""The sizes of regions, each with the number of pixels that is too many for it."""


def details_of(image: ScoredImage) -> ImageDetails:
    """The counts of an image that a report needs besides its scores.

    Args:
        image: Labels and prediction of the image at the scored size.
    """
    if image.task.multilabel:
        return ImageDetails(id=image.id, **counts_in(image))
    truth, prediction = image.labels, image.prediction
    near = near_border(truth)
    wrong = (truth != prediction) & (truth != IGNORE)
    return ImageDetails(
        id=image.id,
        **counts_in(image),
        near=int(np.count_nonzero(near & (truth != IGNORE))),
        near_wrong=int(np.count_nonzero(near & wrong)),
        regions=tuple(regions_of(truth, prediction)),
    )


def counts_in(image: ScoredImage) -> dict[str, Any]:
    """The fields of `ImageDetails` that follow from the counts of an image."""
    if image.task.multilabel:
        rows = enumerate(image.counts[:, :3].tolist())
        return {"binary": tuple(ClassPixels(k, *row) for k, row in rows if any(row))}
    cells = zip(*np.nonzero(image.counts), strict=True)
    return {"confusion": tuple(ConfusedPixels(int(t), int(p), int(image.counts[t, p])) for t, p in cells)}


def near_border(truth: np.ndarray, distance: int = BORDER) -> np.ndarray:
    """Which pixels are near a border between two true classes, bool (H, W).

    Args:
        truth: Ground truth, uint8 (H, W); 255 = ignored. The edge of an ignored region is not a class border.
        distance: Largest distance, in rows and in columns, that is near.
    """
    window = np.ones((2 * distance + 1, 2 * distance + 1), np.uint8)
    # Ignored pixels must not affect the maximum and minimum.
    largest = cv2.dilate(np.where(truth == IGNORE, 0, truth).astype(np.uint8), window)
    smallest = cv2.erode(truth, window)
    return (largest != smallest) & (smallest != IGNORE)


def regions_of(truth: np.ndarray, prediction: np.ndarray) -> list[RegionCounts]:
    """Connected regions (8 neighbours) of every class: how many are labelled, found and invented, by size.

    Args:
        truth: Ground truth, uint8 (H, W); 255 = ignored.
        prediction: Predicted class ids (H, W); what is predicted where the truth is ignored belongs to no region.
    """
    found = np.where(truth == IGNORE, np.uint8(IGNORE), prediction.astype(np.uint8))
    counts: Counter[tuple[int, RegionSize, str]] = Counter()
    present = cv2.calcHist([np.vstack((truth, found))], [0], None, [256], [0, 256]).ravel()
    room = np.empty(truth.size, np.int64)
    for class_id in np.flatnonzero(present[:IGNORE]).tolist():
        labelled, predicted = _cropped((truth == class_id).view(np.uint8), (found == class_id).view(np.uint8))
        for size, share in _shares(labelled, predicted, room):
            counts[class_id, size, "labelled"] += 1
            counts[class_id, size, "found"] += share >= 0.5
        for size, share in _shares(predicted, labelled, room):
            counts[class_id, size, "invented"] += share < 0.5
    found_here = sorted({class_id for class_id, _, _ in counts})
    rows = [
        RegionCounts(class_id, size, *(counts[class_id, size, kind] for kind in ("labelled", "found", "invented")))
        for class_id in found_here
        for size, _ in SIZES
    ]
    return [row for row in rows if row.labelled or row.invented]


def _cropped(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two masks within the smallest box that holds both: most classes fill a small part of an image."""
    x, y, width, height = cv2.boundingRect(np.bitwise_or(first, second, dtype=np.uint8))
    box = slice(y, y + height), slice(x, x + width)
    return first[box], second[box]


def _shares(mask: np.ndarray, other: np.ndarray, room: np.ndarray) -> list[tuple[RegionSize, float]]:
    """Size of each connected region of a mask, and the share of its pixels that are in the other mask.

    Args:
        mask: uint8 (H, W), 0 or 1.
        other: uint8 (H, W), 0 or 1.
        room: Memory for at least H x W numbers, int64; taking it anew for every class would cost most of the time.
    """
    number, ids = cv2.connectedComponents(mask, connectivity=8, ltype=cv2.CV_32S)
    codes = room[: mask.size].reshape(mask.shape)
    np.left_shift(ids, 1, out=codes)
    codes |= other
    counts = np.bincount(codes.ravel(), minlength=2 * number).reshape(number, 2)[1:].tolist()
    return [(_size(alone + both), both / (alone + both)) for alone, both in counts]


def _size(pixels: int) -> RegionSize:
    return next(size for size, limit in SIZES if pixels < limit)
