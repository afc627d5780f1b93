"""Confusion matrix -> numbers. Knows no dataset and no model."""

from pixelwise.metrics.argmax import upsampled_argmax
from pixelwise.metrics.bootstrap import miou_interval
from pixelwise.metrics.boundary import BoundaryCounts, boundary_counts
from pixelwise.metrics.calibration import CalibrationCounts, calibration_counts
from pixelwise.metrics.confusion import confusion_matrix
from pixelwise.metrics.conventions import CONVENTIONS, miou
from pixelwise.metrics.scores import Scores, scores

__all__ = [
    "CONVENTIONS",
    "BoundaryCounts",
    "CalibrationCounts",
    "Scores",
    "boundary_counts",
    "calibration_counts",
    "confusion_matrix",
    "miou",
    "miou_interval",
    "scores",
    "upsampled_argmax",
]
