"""Boundary IoU (Cheng et al., CVPR 2021, arXiv:2103.16562): the IoU of the bands along the contours.

The band of a class is the part of its mask that lies within a distance of the mask's contour, which the
border of the image belongs to. A pixel lies deeper exactly where the whole square around it has one
class, so one erosion and one dilation of the class ids find the bands of all classes at once: on one core
6 ms per image of 360x480 and 90 ms per image of 1024x2048, whatever the number of classes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from pixelwise.metrics.confusion import confusion_matrix
from pixelwise.recipes.classes.tables import IGNORE

DILATION_RATIO = 0.02
"""Width of the bands as a share of the image's diagonal."""


class BoundaryCounts(NamedTuple):
    """Pixels in the bands of each class, int64 (K,); they add up over images.

    Attributes:
        intersections: In the band of the labels and in the band of the prediction.
        unions: In one of them or both.
    """

    intersections: np.ndarray
    unions: np.ndarray

    def __add__(self, other: tuple) -> BoundaryCounts:  # type: ignore[override]
        """The counts of both."""
        return BoundaryCounts(self.intersections + other[0], self.unions + other[1])

    @property
    def iou(self) -> tuple[float, ...]:
        """Boundary IoU of each class; NaN where there is neither band."""
        pairs = zip(self.intersections.tolist(), self.unions.tolist(), strict=True)
        return tuple(above / below if below else math.nan for above, below in pairs)


def boundary_counts(labels: np.ndarray, prediction: np.ndarray, num_classes: int) -> BoundaryCounts:
    """Count the bands of one image.

    Where nothing is labelled the prediction does not count either, and both have a contour around it: a
    prediction that equals the labels wherever they say something has an IoU of 1.

    Args:
        labels: uint8 (H, W), 0..K-1 or 255 (ignored).
        prediction: uint8 (H, W), 0..K-1.
        num_classes: K.
    """
    distance = max(1, round(DILATION_RATIO * math.hypot(*labels.shape)))
    void = labels == IGNORE
    truth = _bands(labels, distance, num_classes)
    found = _bands(np.where(void, np.uint8(IGNORE), prediction), distance, num_classes)
    ignore = IGNORE
    if num_classes == IGNORE:
        # K, which stands for "elsewhere", must count, and 256 classes need more than uint8 to be compared with.
        truth, found, ignore = truth.astype(np.int16), found.astype(np.int16), -1
    counts = confusion_matrix(truth, found, num_classes + 1, ignore).numpy()
    both = counts.diagonal()[:num_classes]
    return BoundaryCounts(both, (counts.sum(0) + counts.sum(1))[:num_classes] - both)


def _bands(labels: np.ndarray, distance: int, num_classes: int) -> np.ndarray:
    """Class ids within `distance` of a contour of their class, K elsewhere and where nothing is labelled."""
    square = np.ones((2 * distance + 1, 2 * distance + 1), np.uint8)
    deep = cv2.erode(labels, square) == cv2.dilate(labels, square)
    # OpenCV's morphology takes what lies outside of the image for more of the same.
    deep[:distance] = deep[-distance:] = False
    deep[:, :distance] = deep[:, -distance:] = False
    return np.where(deep | (labels == IGNORE), np.uint8(num_classes), labels)
