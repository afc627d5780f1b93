"""Metrics of label maps and predictions, and the counts that they are computed from.

Importing this package, or `pixelwise.metrics.metric` to register a metric, does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pixelwise.lazy_names import lazy_names
from pixelwise.metrics.metric import METRICS, Accumulator, CountsAccumulator, Metric, Task, Value, register
from pixelwise.metrics.scores import SCORES, Scores, scores

if TYPE_CHECKING:
    from pixelwise.metrics.argmax import upsampled_argmax
    from pixelwise.metrics.bootstrap import miou_interval
    from pixelwise.metrics.boundary import BoundaryCounts, boundary_counts, multilabel_boundary_counts
    from pixelwise.metrics.calibration import CalibrationCounts, calibration_counts
    from pixelwise.metrics.confusion import confusion_matrix
    from pixelwise.metrics.conventions import CONVENTIONS, miou
    from pixelwise.metrics.image import ScoredImage
    from pixelwise.metrics.multilabel import bits_of, multilabel_counts, multilabel_scores, upsampled_bits

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

_HOMES = {
    "BoundaryCounts": "boundary",
    "CONVENTIONS": "conventions",
    "CalibrationCounts": "calibration",
    "ScoredImage": "image",
    "bits_of": "multilabel",
    "boundary_counts": "boundary",
    "calibration_counts": "calibration",
    "confusion_matrix": "confusion",
    "miou": "conventions",
    "miou_interval": "bootstrap",
    "multilabel_boundary_counts": "boundary",
    "multilabel_counts": "multilabel",
    "multilabel_scores": "multilabel",
    "upsampled_argmax": "argmax",
    "upsampled_bits": "multilabel",
}


# What needs torch or OpenCV is imported when it is first used.
__getattr__ = lazy_names(__name__, {name: f"{__name__}.{module}" for name, module in _HOMES.items()})
