"""Regions where the network is sure of another class than the labels say: wrong labels, or confident mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from pixelwise.evaluation.details import near_border
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.sizes import Size
from pixelwise.records.suspects import Suspect

SURE = 0.9
"""Least probability of the predicted class."""
LEAST_PIXELS, LEAST_SHARE = 64, 0.0005
"""A region has at least so many pixels, and at least this share of its image."""
PER_IMAGE = 20
"""Number of regions of one image that are reported: the largest ones."""


class Predicted(NamedTuple):
    """An image that was predicted once more.

    Attributes:
        image: The image at its own size, uint8 (h, w, C).
        truth: Ground truth at the score size, uint8 (H, W), 255 = ignored; for multi-label data bit fields.
        prediction: Class ids (H, W) or bit fields.
        confidence: Probability of the predicted class, float32 (H, W); None if the network does not give it.
    """

    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    confidence: np.ndarray | None = None

    @property
    def size(self) -> Size:
        """(height, width) at which the image is scored."""
        return self.truth.shape[0], self.truth.shape[1]


def suspect_regions(predicted: Predicted, id: str, classes: Sequence[str]) -> list[Suspect]:
    """The largest connected regions of an image that are labelled as one class and surely predicted as another.

    Pixels near a border between two true classes do not count: there, labels and predictions always differ a little.

    Args:
        predicted: Image, labels and prediction with probabilities.
        id: Id of the image.
        classes: Names of the classes.

    Returns:
        At most `PER_IMAGE` regions, the largest first.
    """
    truth, prediction, confidence = predicted.truth, predicted.prediction, predicted.confidence
    if confidence is None:
        return []
    sure = (truth != prediction) & (truth != IGNORE) & (confidence >= SURE) & ~near_border(truth)
    least = max(LEAST_PIXELS, LEAST_SHARE * truth.size)
    pairs, counts = np.unique(truth[sure].astype(np.int64) << 8 | prediction[sure], return_counts=True)
    found = []
    for pair in pairs[counts >= least].tolist():
        labelled, other = int(pair) >> 8, int(pair) & 255
        mask = (sure & (truth == labelled) & (prediction == other)).astype(np.uint8)
        _, ids, boxes, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S)
        for number in np.flatnonzero(boxes[1:, cv2.CC_STAT_AREA] >= least) + 1:
            x, y, width, height, pixels = boxes[number].tolist()
            inside = ids[y : y + height, x : x + width] == number
            mean = float(confidence[y : y + height, x : x + width][inside].mean())
            left, top, wide, high = _scaled((x, y, width, height), predicted.size, predicted.image.shape[:2])
            found.append(
                Suspect(
                    image=id,
                    labelled=classes[labelled],
                    predicted=classes[other],
                    pixels=pixels,
                    confidence=mean,
                    x=left,
                    y=top,
                    width=wide,
                    height=high,
                    image_width=predicted.image.shape[1],
                    image_height=predicted.image.shape[0],
                )
            )
    return sorted(found, key=lambda one: -one.pixels)[:PER_IMAGE]


def _scaled(box: tuple[int, int, int, int], scored: Size, own: Size) -> tuple[int, int, int, int]:
    """A box (x, y, width, height) at the score size, in pixels of the image itself."""
    down, right = own[0] / scored[0], own[1] / scored[1]
    x, y, width, height = box
    return round(x * right), round(y * down), max(1, round(width * right)), max(1, round(height * down))
