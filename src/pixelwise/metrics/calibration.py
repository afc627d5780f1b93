"""Expected calibration error: the difference between the confidence of predictions and their accuracy.

Guo et al., ICML 2017, arXiv:1706.04599: pixels are sorted into bins of equal width by their confidence (the
largest probability); the error is the mean absolute difference between a bin's confidence and its accuracy,
weighted by its number of pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from pixelwise.metrics.metric import Accumulator, Metric, Task, Value, register
from pixelwise.recipes.class_sets.tables import IGNORE

if TYPE_CHECKING:
    from pixelwise.metrics.image import ScoredImage

BINS = 15
_UNITS = 2**32
"""Units of a confidence of 1 in which sums are kept. A float32 above 1/256 is a whole number of them."""


class CalibrationCounts(NamedTuple):
    """Counts per confidence bin, (BINS,); they add up over images.

    Attributes:
        pixels: int64, number of labelled pixels in the bin.
        right: int64, number of correctly predicted pixels among them.
        confidence: float64, sum of their confidences.
    """

    pixels: np.ndarray
    right: np.ndarray
    confidence: np.ndarray

    def __add__(self, other: tuple) -> CalibrationCounts:  # type: ignore[override]
        """The sum of both counts."""
        return CalibrationCounts(*(ours + theirs for ours, theirs in zip(self, other, strict=True)))

    @property
    def error(self) -> float:
        """The expected calibration error, 0..1; NaN without labelled pixels."""
        total = int(self.pixels.sum())
        return float(np.abs(self.right - self.confidence).sum()) / total if total else math.nan


def calibration_counts(labels: np.ndarray, prediction: np.ndarray, confidence: np.ndarray) -> CalibrationCounts:
    """Sort the labelled pixels of one image into bins.

    Args:
        labels: uint8 (H, W) class ids, 255 = ignored.
        prediction: uint8 (H, W) class ids.
        confidence: float32 (H, W), probability of the predicted class, above 0 and at most 1. A bin includes its
            upper end but not its lower end.
    """
    valid = labels != IGNORE
    sure = confidence[valid]
    bins = np.clip(np.ceil(sure.astype(np.float64) * BINS).astype(np.int64) - 1, 0, BINS - 1)
    hits = bins[labels[valid] == prediction[valid]]
    return CalibrationCounts(
        np.bincount(bins, minlength=BINS),
        np.bincount(hits, minlength=BINS),
        np.bincount(bins, weights=sure, minlength=BINS),
    )


class CalibrationAccumulator(Accumulator):
    """Adds up `CalibrationCounts`, the confidences as whole numbers: the sum has the same bits in any order."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.pixels, self.right = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
        self.confidence = [0] * BINS

    def update(self, image: ScoredImage) -> None:
        """Add the bins of one image."""
        found = calibration_counts(image.labels, image.prediction, image.confidence)
        self._add(found.pixels, found.right, [round(sure * _UNITS) for sure in found.confidence.tolist()])

    def merge(self, other: Self) -> None:
        """Add the bins of another part."""
        self._add(other.pixels, other.right, other.confidence)

    def _add(self, pixels: np.ndarray, right: np.ndarray, confidence: list[int]) -> None:
        self.pixels, self.right = self.pixels + pixels, self.right + right
        self.confidence = [ours + theirs for ours, theirs in zip(self.confidence, confidence, strict=True)]

    def compute(self) -> Value:
        """The expected calibration error, with pixels, correct pixels and summed confidence of each bin."""
        counts = CalibrationCounts(self.pixels, self.right, np.array([units / _UNITS for units in self.confidence]))
        return Value(value=counts.error, bins=tuple(zip(*(column.tolist() for column in counts), strict=True)))


register(
    Metric(
        name="calibration_error",
        title="calibration error",
        summary="Expected calibration error over 15 confidence bins (arXiv:1706.04599); 0 if the accuracy of every bin "
        "equals its confidence.",
        accumulator=CalibrationAccumulator,
        needs="confidence",
        multilabel=False,
    )
)
