"""Confusion matrix -> numbers. Knows no dataset and no model."""

from pixelwise.metrics.argmax import upsampled_argmax
from pixelwise.metrics.confusion import confusion_matrix
from pixelwise.metrics.scores import Scores, scores

__all__ = ["Scores", "confusion_matrix", "scores", "upsampled_argmax"]
