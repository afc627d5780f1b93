"""Scores of a confusion matrix: IoU, accuracy, precision, F1 and their means.

A class that occurs neither in the labels nor in the predictions has no IoU (0 / 0): it is NaN here,
`n/a` in tables and null in JSON. A class that is predicted somewhere but occurs in no label has an
IoU of 0 and counts in the mean, as in the Cityscapes scripts.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import msgspec
import numpy as np

from pixelwise.metrics.metric import Accumulator, Metric, Task, Value, register

if TYPE_CHECKING:
    from torch import Tensor

    from pixelwise.metrics.image import ScoredImage


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """All scores of one confusion matrix, as fractions 0..1; NaN if the denominator is 0.

    Attributes:
        iou: IoU of each class, TP / (TP + FP + FN).
        accuracy: Accuracy (recall) of each class, TP / labelled pixels.
        precision: Precision of each class, TP / predicted pixels.
        f1: F1 of each class, 2 TP / (2 TP + FP + FN), which equals the Dice coefficient.
        pixels: Labelled pixels of each class.
        miou: Mean IoU under the rule for absent classes.
        pixel_accuracy: Share of the labelled pixels that are predicted correctly.
        mean_accuracy: Mean accuracy of the labelled classes.
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


class ClassTotals(NamedTuple):
    """The sums of a confusion matrix from which all `Scores` are computed; they add up over images.

    Attributes:
        right: int64 (K,), correctly predicted pixels of each class (TP).
        labelled: int64 (K,), labelled pixels of each class.
        predicted: int64 (K,), labelled pixels that were predicted as each class.
        correct: Number of correct decisions over all classes.
        decisions: Number of decisions: one per labelled pixel; for multi-label data one per labelled pixel and class.
    """

    right: np.ndarray
    labelled: np.ndarray
    predicted: np.ndarray
    correct: int
    decisions: int

    @property
    def unions(self) -> np.ndarray:
        """int64 (K,), pixels that are labelled or predicted as each class."""
        return self.labelled + self.predicted - self.right

    def plus(self, other: ClassTotals) -> ClassTotals:
        """The sums of both added."""
        return ClassTotals(
            self.right + other.right,
            self.labelled + other.labelled,
            self.predicted + other.predicted,
            self.correct + other.correct,
            self.decisions + other.decisions,
        )

    def scores(self, absent: Literal["skip", "zero"] = "skip") -> Scores:
        """Compute all scores from these sums, as `pixelwise.metrics.scores.scores` does."""
        iou = _ratio(self.right, self.unions)
        accuracy = _ratio(self.right, self.labelled)
        pixels = tuple(self.labelled.tolist())
        weighted = [share * value for share, value in zip(pixels, iou, strict=True) if share]
        return Scores(
            iou=iou,
            accuracy=accuracy,
            precision=_ratio(self.right, self.predicted),
            f1=_ratio(2 * self.right, self.labelled + self.predicted),
            pixels=pixels,
            miou=mean_of(iou, absent),
            pixel_accuracy=self.correct / self.decisions if self.decisions else math.nan,
            mean_accuracy=mean_of(accuracy, "skip"),
            frequency_weighted_iou=math.fsum(weighted) / sum(pixels) if any(pixels) else math.nan,
            classes_present=sum(not math.isnan(value) for value in iou),
        )


def totals_of(counts: np.ndarray | Tensor, *, multilabel: bool = False) -> ClassTotals:
    """Compute the sums of one confusion matrix.

    Args:
        counts: (K, K) or (K, K + 1) as for `scores`; for multi-label data (K, 4): TP, FP, FN, TN per class.
        multilabel: Whether `counts` are those of multi-label data.

    Raises:
        ValueError: The matrix has another shape.
    """
    if multilabel:
        table = as_table(counts)
        hits, invented, missed, left_out = table.T
        correct, decisions = int(hits.sum() + left_out.sum()), int(table.sum())
        return ClassTotals(hits, hits + missed, hits + invented, correct, decisions)
    matrix = as_counts(counts)
    right, labelled = np.diagonal(matrix), matrix.sum(1)
    return ClassTotals(right, labelled, matrix.sum(0)[: len(matrix)], int(right.sum()), int(labelled.sum()))


def scores(matrix: np.ndarray | Tensor, absent: Literal["skip", "zero"] = "skip") -> Scores:
    """Compute all scores of a confusion matrix.

    Args:
        matrix: (K, K) non-negative integers, rows ground truth, columns prediction; or (K, K + 1), whose last
            column counts the pixels that were predicted as void: misses of their class, but false positives of none.
        absent: Treatment of a class without IoU in the mean: left out (`skip`) or counted as 0 (`zero`).

    Returns:
        The scores. With `skip` and no labelled pixels at all, `miou` is NaN.

    Raises:
        ValueError: The matrix has another shape.
    """
    return totals_of(matrix).scores(absent)


def mean_of(values: tuple[float, ...], absent: Literal["skip", "zero"]) -> float:
    """Mean of `values`, in which NaN is left out (`skip`) or counted as 0 (`zero`)."""
    present = [value for value in values if not math.isnan(value)]
    divisor = len(present) if absent == "skip" else len(values)
    return math.fsum(present) / divisor if divisor else math.nan


def as_counts(matrix: np.ndarray | Tensor) -> np.ndarray:
    """A confusion matrix as an int64 NumPy array.

    Raises:
        ValueError: It is neither (K, K) nor (K, K + 1).
    """
    counts = _array(matrix)
    if counts.ndim != 2 or counts.shape[1] - counts.shape[0] not in (0, 1):
        raise ValueError(
            f"the confusion matrix has shape {counts.shape}; expected (K, K), or (K, K + 1) with a void column"
        )
    return counts.astype(np.int64)


def as_table(counts: np.ndarray | Tensor) -> np.ndarray:
    """The counts of multi-label data as an int64 NumPy array.

    Raises:
        ValueError: They are not (K, 4).
    """
    table = _array(counts)
    if table.ndim != 2 or table.shape[1] != 4:
        raise ValueError(f"the counts have shape {table.shape}; expected (K, 4): TP, FP, FN, TN of each class")
    return table.astype(np.int64)


def _array(values: np.ndarray | Tensor) -> np.ndarray:
    # Asked like this, so that listing metrics does not import torch.
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values)  # type: ignore[union-attr]


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> tuple[float, ...]:
    pairs = zip(numerator.tolist(), denominator.tolist(), strict=True)
    return tuple(above / below if below else math.nan for above, below in pairs)


class ScoresAccumulator(Accumulator):
    """Adds up `ClassTotals`, a few values per class for any number of images and groups.

    Args:
        task: Classes and rules of the scored task.
        value: Attribute of `Scores` with the overall value of the metric; empty: there is none.
        per_class: Attribute of `Scores` with the values per class; empty: there are none.
    """

    def __init__(self, task: Task, *, value: str = "", per_class: str = "") -> None:
        super().__init__(task)
        self._value, self._per_class = value, per_class
        none = np.zeros(len(task.classes), np.int64)
        self.totals = ClassTotals(none, none, none, 0, 0)

    def update(self, image: ScoredImage) -> None:
        """Add the sums of one image."""
        self.totals = self.totals.plus(image.totals)

    def merge(self, other: Self) -> None:
        """Add the sums of another part."""
        self.totals = self.totals.plus(other.totals)

    def compute(self) -> Value:
        """The scores that belong to this metric."""
        found = self.totals.scores(self.task.absent)
        return Value(
            value=getattr(found, self._value) if self._value else math.nan,
            per_class=getattr(found, self._per_class) if self._per_class else (),
        )


def _part(name: str, title: str, summary: str, *, groups: bool = False, **parts: str) -> Metric:
    return Metric(
        name=name,
        title=title,
        summary=summary,
        accumulator=functools.partial(ScoresAccumulator, **parts),
        needs="counts",
        default=True,
        groups=groups,
    )


_PARTS = (
    _part(
        "iou",
        "mIoU",
        "Intersection over union of each class (Jaccard index), and its mean over classes.",
        value="miou",
        per_class="iou",
        groups=True,
    ),
    _part(
        "pixel_accuracy",
        "pixel accuracy",
        "Share of the labelled pixels that are predicted correctly.",
        value="pixel_accuracy",
        groups=True,
    ),
    _part(
        "accuracy",
        "mean accuracy",
        "Share of each class's labelled pixels that are predicted correctly (recall), and its mean over classes.",
        value="mean_accuracy",
        per_class="accuracy",
    ),
    _part(
        "frequency_weighted_iou",
        "frequency-weighted IoU",
        "Mean IoU weighted by the labelled pixels of each class.",
        value="frequency_weighted_iou",
    ),
    _part(
        "precision",
        "precision",
        "Share of the pixels predicted as each class that are correct.",
        per_class="precision",
    ),
    _part(
        "f1",
        "F1",
        "Harmonic mean of accuracy and precision of each class: the Dice coefficient.",
        per_class="f1",
    ),
)
SCORES = tuple(register(part).name for part in _PARTS)
"""Names of the metrics that every evaluation measures; once the confusion matrix is counted, they cost nothing."""
