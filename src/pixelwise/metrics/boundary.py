"""Boundary IoU (Cheng et al., CVPR 2021, arXiv:2103.16562): the IoU of bands along the contours.

The band of a class is the part of its mask within a given distance of the mask's contour, which includes
the border of the image. A pixel lies outside the band exactly if the whole square around it has one class,
so one erosion and one dilation of the class ids find the bands of all classes at once: on one core in 6 ms
for an image of 360x480 and 90 ms for one of 1024x2048, with any number of classes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Self

import cv2
import numpy as np

from pixelwise.metrics.metric import Accumulator, Metric, Task, Value, register
from pixelwise.metrics.scores import mean_of
from pixelwise.recipes.class_sets.tables import IGNORE, IGNORE_BIT

if TYPE_CHECKING:
    from pixelwise.metrics.image import ScoredImage

DILATION_RATIO = 0.02
"""Width of the bands as a share of the image's diagonal."""


class BoundaryCounts(NamedTuple):
    """Pixels in the bands of each class, int64 (K,); they add up over images.

    Attributes:
        intersections: Pixels in both the band of the labels and the band of the prediction.
        unions: Pixels in the band of the labels, the band of the prediction, or both.
    """

    intersections: np.ndarray
    unions: np.ndarray

    def __add__(self, other: tuple) -> BoundaryCounts:  # type: ignore[override]
        """The sum of both counts."""
        return BoundaryCounts(self.intersections + other[0], self.unions + other[1])

    @property
    def iou(self) -> tuple[float, ...]:
        """Boundary IoU of each class; NaN for a class with neither band."""
        pairs = zip(self.intersections.tolist(), self.unions.tolist(), strict=True)
        return tuple(above / below if below else math.nan for above, below in pairs)


def boundary_counts(labels: np.ndarray, prediction: np.ndarray, num_classes: int) -> BoundaryCounts:
    """Count the pixels in the bands of one image.

    Ignored pixels are ignored in the prediction as well, and both have a contour around them: a prediction that
    equals the labels on all labelled pixels has an IoU of 1.

    Args:
        labels: uint8 (H, W), 0..K-1 or 255 (ignored).
        prediction: uint8 (H, W), 0..K-1.
        num_classes: Number of classes K.
    """
    from pixelwise.metrics.confusion import confusion_matrix  # imports torch

    distance = max(1, round(DILATION_RATIO * math.hypot(*labels.shape)))
    void = labels == IGNORE
    truth = _bands(labels, distance, num_classes)
    found = _bands(np.where(void, np.uint8(IGNORE), prediction), distance, num_classes)
    ignore = IGNORE
    if num_classes == IGNORE:
        # K, the id of pixels outside all bands, has to be counted, and 256 ids plus `ignore` exceed uint8.
        truth, found, ignore = truth.astype(np.int16), found.astype(np.int16), -1
    counts = confusion_matrix(truth, found, num_classes + 1, ignore).numpy()
    both = counts.diagonal()[:num_classes]
    return BoundaryCounts(both, (counts.sum(0) + counts.sum(1))[:num_classes] - both)


def multilabel_boundary_counts(labels: np.ndarray, prediction: np.ndarray, num_classes: int) -> BoundaryCounts:
    """Count the pixels in the bands of each class of multi-label data, as `boundary_counts` does for two classes.

    Args:
        labels: int32 (H, W) bit fields; ignored pixels are `IGNORE_BIT`.
        prediction: int32 (H, W) bit fields.
        num_classes: Number of classes K.
    """
    void = labels == IGNORE_BIT
    intersections, unions = np.zeros(num_classes, np.int64), np.zeros(num_classes, np.int64)
    for k in range(num_classes):
        truth = np.where(void, IGNORE, labels >> k & 1).astype(np.uint8)
        found = boundary_counts(truth, (prediction >> k & 1).astype(np.uint8), 2)
        intersections[k], unions[k] = found.intersections[1], found.unions[1]
    return BoundaryCounts(intersections, unions)


def _bands(labels: np.ndarray, distance: int, num_classes: int) -> np.ndarray:
    """Class ids within `distance` of a contour of their class; K elsewhere and for ignored pixels."""
    square = np.ones((2 * distance + 1, 2 * distance + 1), np.uint8)
    deep = cv2.erode(labels, square) == cv2.dilate(labels, square)
    # OpenCV's morphology does not treat the border of the image as a contour.
    deep[:distance] = deep[-distance:] = False
    deep[:, :distance] = deep[:, -distance:] = False
    return np.where(deep | (labels == IGNORE), np.uint8(num_classes), labels)


class BoundaryAccumulator(Accumulator):
    """Adds up `BoundaryCounts`."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        none = np.zeros(len(task.classes), np.int64)
        self.counts = BoundaryCounts(none, none)

    def update(self, image: ScoredImage) -> None:
        """Add the bands of one image."""
        count = multilabel_boundary_counts if self.task.multilabel else boundary_counts
        self.counts += count(image.labels, image.prediction, len(self.task.classes))

    def merge(self, other: Self) -> None:
        """Add the bands of another part."""
        self.counts += other.counts

    def compute(self) -> Value:
        """The IoU of the bands; the mean leaves out classes without one."""
        iou = self.counts.iou
        return Value(value=mean_of(iou, "skip"), per_class=iou)


register(
    Metric(
        name="boundary_iou",
        title="boundary mIoU",
        summary="IoU of the bands along the contours of each class (arXiv:2103.16562), and its mean over classes.",
        accumulator=BoundaryAccumulator,
        needs="labels",
        default=True,
    )
)
