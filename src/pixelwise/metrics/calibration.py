"""Whether a network is right as often as it is sure: the expected calibration error.

Guo et al., ICML 2017, arXiv:1706.04599: pixels are sorted into bins of equal width by their confidence (the
largest probability); the error is the mean distance between a bin's confidence and its accuracy, weighted
by its pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from pixelwise.metrics.metric import Accumulator, Metric, Task, Value, register
from pixelwise.recipes.classes.tables import IGNORE

if TYPE_CHECKING:
    from pixelwise.metrics.image import ScoredImage

BINS = 15


class CalibrationCounts(NamedTuple):
    """What adds up over images, per bin of confidence, (BINS,).

    Attributes:
        pixels: int64, labelled pixels in the bin.
        right: int64, how many of them are predicted right.
        confidence: float64, sum of their confidences.
    """

    pixels: np.ndarray
    right: np.ndarray
    confidence: np.ndarray

    def __add__(self, other: tuple) -> CalibrationCounts:  # type: ignore[override]
        """The counts of both."""
        return CalibrationCounts(*(ours + theirs for ours, theirs in zip(self, other, strict=True)))

    @property
    def error(self) -> float:
        """The expected calibration error, 0..1; NaN without labelled pixels."""
        total = int(self.pixels.sum())
        return float(np.abs(self.right - self.confidence).sum()) / total if total else math.nan


def calibration_counts(labels: np.ndarray, prediction: np.ndarray, confidence: np.ndarray) -> CalibrationCounts:
    """Sort the labelled pixels of one image into bins.

    Args:
        labels: uint8 (H, W), 255 = ignored.
        prediction: uint8 (H, W).
        confidence: float32 (H, W), probability of the predicted class, above 0 and at most 1. A bin holds its
            upper end and not its lower one.
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
    """Adds up `CalibrationCounts`."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        none = np.zeros(BINS, np.int64)
        self.counts = CalibrationCounts(none, none, np.zeros(BINS))

    def update(self, image: ScoredImage) -> None:
        """Add the bins of one image."""
        self.counts += calibration_counts(image.labels, image.prediction, image.confidence)

    def merge(self, other: Self) -> None:
        """Add the bins of another part."""
        self.counts += other.counts

    def compute(self) -> Value:
        """The expected calibration error."""
        return Value(value=self.counts.error)


register(
    Metric(
        name="calibration_error",
        title="calibration error",
        summary="Expected calibration error in 15 bins of confidence (arXiv:1706.04599): 0 where a network is right as "
        "often as it is sure.",
        accumulator=CalibrationAccumulator,
        needs="confidence",
        multilabel=False,
    )
)
