"""Confusion matrix -> numbers. Knows no dataset and no model."""

from pixelwise.metrics.argmax import upsampled_argmax
from pixelwise.metrics.bootstrap import miou_interval
from pixelwise.metrics.boundary import BoundaryCounts, boundary_counts
from pixelwise.metrics.calibration import CalibrationCounts, calibration_counts
from pixelwise.metrics.confusion import confusion_matrix
from pixelwise.metrics.conventions import CONVENTIONS, miou
from pixelwise.metrics.multilabel import (
    bits_of,
    multilabel_boundary_counts,
    multilabel_counts,
    multilabel_scores,
    upsampled_bits,
)
from pixelwise.metrics.scores import Scores, scores

__all__ = [
    "CONVENTIONS",
    "BoundaryCounts",
    "CalibrationCounts",
    "Scores",
    "bits_of",
    "boundary_counts",
    "calibration_counts",
    "confusion_matrix",
    "miou",
    "miou_interval",
    "multilabel_boundary_counts",
    "multilabel_counts",
    "multilabel_scores",
    "scores",
    "upsampled_argmax",
    "upsampled_bits",
]
