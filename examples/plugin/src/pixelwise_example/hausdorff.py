"""A metric: the Hausdorff distance between the contours of ground truth and prediction, in pixels.

It is the larger of two 95th percentiles, from the contour of the ground truth to that of the prediction and back
(Huttenlocher et al., TPAMI 1993; the percentile makes it robust against single outlier pixels), per class and image,
averaged over the images that contain the class: MONAI's `compute_hausdorff_distance(percentile=95)`. If only the ground
truth or only the prediction contains the class, the distance is the diagonal of the image.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pixelwise.metrics import Accumulator, Metric, Task, Value, register
from pixelwise.recipes.class_sets.tables import IGNORE, IGNORE_BIT

if TYPE_CHECKING:
    from pixelwise.metrics import ScoredImage

PERCENTILE = 95


class Hausdorff(Accumulator):
    """Sum of the distances and number of images with a distance, per class."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.distances = np.zeros(len(task.classes))
        self.images = np.zeros(len(task.classes), np.int64)

    def update(self, image: ScoredImage) -> None:
        """Add the distance of each class that occurs in the labels or the prediction of an image."""
        void = image.labels == (IGNORE_BIT if self.task.multilabel else IGNORE)
        for class_id in range(len(self.task.classes)):
            truth, found = (self._mask(ids, class_id) & ~void for ids in (image.labels, image.prediction))
            if truth.any() or found.any():
                self.distances[class_id] += distance(truth, found)
                self.images[class_id] += 1

    def merge(self, other: Hausdorff) -> None:
        """Add the distances of other images."""
        self.distances += other.distances
        self.images += other.images

    def compute(self) -> Value:
        """Mean of each class over its images, and the mean of the classes that have one."""
        pairs = zip(self.distances.tolist(), self.images.tolist(), strict=True)
        per_class = tuple(total / images if images else math.nan for total, images in pairs)
        known = [value for value in per_class if not math.isnan(value)]
        return Value(value=sum(known) / len(known) if known else math.nan, per_class=per_class)

    def _mask(self, ids: np.ndarray, class_id: int) -> np.ndarray:
        return (ids >> class_id & 1).astype(np.bool_) if self.task.multilabel else ids == class_id


def distance(truth: np.ndarray, found: np.ndarray) -> float:
    """Distance in pixels between the contours of two bool masks (H, W), at least one of which is not empty."""
    if not (truth.any() and found.any()):
        return math.hypot(*truth.shape)
    one, other = contour(truth), contour(found)
    there, back = away_from(other)[one], away_from(one)[other]
    return float(max(np.percentile(there, PERCENTILE), np.percentile(back, PERCENTILE)))


def contour(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask of whose four neighbours one is outside of it or of the image."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    inside = cv2.erode(mask.astype(np.uint8), cross, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return mask & (inside == 0)


def away_from(pixels: np.ndarray) -> np.ndarray:
    """Euclidean distance of every pixel to the nearest pixel that is set, float32 (H, W)."""
    return cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


register(
    Metric(
        name="hausdorff95",
        title="mean Hausdorff distance",
        class_title="Hausdorff",
        summary="95th percentile of the symmetric Hausdorff distance between contours, averaged over images.",
        accumulator=Hausdorff,
        needs="labels",
        unit="px",
    )
)
