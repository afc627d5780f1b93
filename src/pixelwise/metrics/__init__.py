"""Metrics of predictions against labels, independent of data sets and models."""

from pixelwise.metrics.argmax import upsampled_argmax
from pixelwise.metrics.bootstrap import miou_interval
from pixelwise.metrics.boundary import BoundaryCounts, boundary_counts, multilabel_boundary_counts
from pixelwise.metrics.calibration import CalibrationCounts, calibration_counts
from pixelwise.metrics.confusion import confusion_matrix
from pixelwise.metrics.conventions import CONVENTIONS, miou
from pixelwise.metrics.image import ScoredImage
from pixelwise.metrics.metric import METRICS, Accumulator, CountsAccumulator, Metric, Task, Value, register
from pixelwise.metrics.multilabel import (
    bits_of,
    multilabel_counts,
    multilabel_scores,
    upsampled_bits,
)
from pixelwise.metrics.scores import SCORES, Scores, scores

__all__ = [
    "CONVENTIONS",
    "METRICS",
    "SCORES",
    "Accumulator",
    "BoundaryCounts",
    "CalibrationCounts",
    "CountsAccumulator",
    "Metric",
    "ScoredImage",
    "Scores",
    "Task",
    "Value",
    "bits_of",
    "boundary_counts",
    "calibration_counts",
    "confusion_matrix",
    "miou",
    "miou_interval",
    "multilabel_boundary_counts",
    "multilabel_counts",
    "multilabel_scores",
    "register",
    "scores",
    "upsampled_argmax",
    "upsampled_bits",
]
