"""From a confusion matrix to scores: IoU, accuracy, precision and their means.

A class that occurs neither in the labels nor in the predictions has no IoU (0 / 0): it is NaN here,
`n/a` in tables and null in JSON. A class that is predicted somewhere but occurs in no label has an
IoU of 0 and counts in the mean, as in the Cityscapes scripts.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec
import numpy as np
from torch import Tensor


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """All scores of one confusion matrix, as fractions 0..1; NaN where there is nothing to divide.

    Attributes:
        iou: Per class, TP / (TP + FP + FN).
        accuracy: Per class, TP / labelled pixels (recall).
        precision: Per class, TP / predicted pixels.
        pixels: Per class, labelled pixels.
        miou: Mean IoU under the rule for absent classes.
        pixel_accuracy: Share of labelled pixels that are right.
        classes_present: Number of classes that have an IoU.
    """

    iou: tuple[float, ...]
    accuracy: tuple[float, ...]
    precision: tuple[float, ...]
    pixels: tuple[int, ...]
    miou: float
    pixel_accuracy: float
    classes_present: int


def scores(matrix: np.ndarray | Tensor, absent: Literal["skip", "zero"] = "skip") -> Scores:
    """Compute all scores of a confusion matrix.

    Args:
        matrix: (K, K) non-negative integers, rows truth, columns prediction.
        absent: What a class without IoU counts in the mean: it is left out (`skip`) or 0 (`zero`).

    Returns:
        The scores. With `skip` and nothing labelled at all, `miou` is NaN.
    """
    counts = matrix.cpu().numpy() if isinstance(matrix, Tensor) else np.asarray(matrix)
    right = np.diagonal(counts).astype(np.int64)
    truth = counts.sum(1, dtype=np.int64)
    predicted = counts.sum(0, dtype=np.int64)
    iou = _ratio(right, truth + predicted - right)
    present = [value for value in iou if not math.isnan(value)]
    divisor = len(present) if absent == "skip" else len(iou)
    return Scores(
        iou=iou,
        accuracy=_ratio(right, truth),
        precision=_ratio(right, predicted),
        pixels=tuple(truth.tolist()),
        miou=math.fsum(present) / divisor if divisor else math.nan,
        pixel_accuracy=_ratio(right.sum(keepdims=True), truth.sum(keepdims=True))[0],
        classes_present=len(present),
    )


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> tuple[float, ...]:
    pairs = zip(numerator.tolist(), denominator.tolist(), strict=True)
    return tuple(above / below if below else math.nan for above, below in pairs)
