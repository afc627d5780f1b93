"""From a confusion matrix to scores: IoU, accuracy, precision, F1 and their means.

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
        f1: Per class, 2 TP / (2 TP + FP + FN); the Dice coefficient is the same number.
        pixels: Per class, labelled pixels.
        miou: Mean IoU under the rule for absent classes.
        pixel_accuracy: Share of labelled pixels that are right.
        mean_accuracy: Mean accuracy of the classes that are labelled.
        frequency_weighted_iou: Mean IoU weighted by the labelled pixels of each class.
        classes_present: Number of classes that have an IoU.
    """

    iou: tuple[float, ...]
    accuracy: tuple[float, ...]
    precision: tuple[float, ...]
    f1: tuple[float, ...]
    pixels: tuple[int, ...]
    miou: float
    pixel_accuracy: float
    mean_accuracy: float
    frequency_weighted_iou: float
    classes_present: int


def scores(matrix: np.ndarray | Tensor, absent: Literal["skip", "zero"] = "skip") -> Scores:
    """Compute all scores of a confusion matrix.

    Args:
        matrix: (K, K) non-negative integers, rows truth, columns prediction; or (K, K + 1), where the
            last column holds pixels that were predicted as void: misses of their class, and no class's
            false positives.
        absent: What a class without IoU counts in the mean: it is left out (`skip`) or 0 (`zero`).

    Returns:
        The scores. With `skip` and nothing labelled at all, `miou` is NaN.

    Raises:
        ValueError: The matrix has another shape.
    """
    counts = as_counts(matrix)
    right = np.diagonal(counts)
    truth = counts.sum(1)
    predicted = counts.sum(0)[: len(counts)]
    iou = _ratio(right, truth + predicted - right)
    accuracy = _ratio(right, truth)
    pixels, labelled = tuple(truth.tolist()), int(truth.sum())
    weighted = [share * value for share, value in zip(pixels, iou, strict=True) if share]
    return Scores(
        iou=iou,
        accuracy=accuracy,
        precision=_ratio(right, predicted),
        f1=_ratio(2 * right, truth + predicted),
        pixels=pixels,
        miou=mean_of(iou, absent),
        pixel_accuracy=_ratio(right.sum(keepdims=True), truth.sum(keepdims=True))[0],
        mean_accuracy=mean_of(accuracy, "skip"),
        frequency_weighted_iou=math.fsum(weighted) / labelled if labelled else math.nan,
        classes_present=sum(not math.isnan(value) for value in iou),
    )


def mean_of(values: tuple[float, ...], absent: Literal["skip", "zero"]) -> float:
    """Mean of the numbers among `values`; NaN is left out (`skip`) or 0 (`zero`)."""
    present = [value for value in values if not math.isnan(value)]
    divisor = len(present) if absent == "skip" else len(values)
    return math.fsum(present) / divisor if divisor else math.nan


def as_counts(matrix: np.ndarray | Tensor) -> np.ndarray:
    """A confusion matrix as int64 NumPy array.

    Raises:
        ValueError: It is neither (K, K) nor (K, K + 1).
    """
    counts = matrix.cpu().numpy() if isinstance(matrix, Tensor) else np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[1] - counts.shape[0] not in (0, 1):
        raise ValueError(f"the confusion matrix is {counts.shape}; expected (K, K), or (K, K + 1) with a void column")
    return counts.astype(np.int64)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> tuple[float, ...]:
    pairs = zip(numerator.tolist(), denominator.tolist(), strict=True)
    return tuple(above / below if below else math.nan for above, below in pairs)
