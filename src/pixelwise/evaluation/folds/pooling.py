"""The joint score of all images of a cross-validation, and the spread of its folds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from pixelwise.metrics.bootstrap import LEVEL, miou_interval
from pixelwise.metrics.scores import ClassTotals, totals_of
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.records.details import ImageDetails, load_details
from pixelwise.records.evaluations import find_evaluation
from pixelwise.records.folds.summary import ClassScore, FoldScore, JointScore
from pixelwise.records.result import Result
from pixelwise.records.scores import BinaryCounts


def joint_score(runs: Sequence[Path], results: Sequence[Result]) -> JointScore:
    """The score of all images under one protocol, from one confusion matrix.

    Args:
        runs: The run folder of each fold.
        results: The result of each fold on the images that it holds out, under the same protocol.
    """
    first = results[0]
    several = bool(first.binary_counts)
    counts = sum(map(_counts, results[1:]), start=_counts(first))
    absent = find_protocol(first.protocol).absent
    scores = totals_of(counts, multilabel=several).scores(absent)
    parts = [_parts_of_images(run, result) for run, result in zip(runs, results, strict=True)]
    right, unions = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
    values = zip(scores.iou, scores.accuracy, scores.precision, scores.pixels, strict=True)
    names = [one.name for one in first.per_class]
    folds = tuple(
        FoldScore(
            name=run.name,
            images=result.images,
            miou=_known(result.miou),
            pixel_accuracy=_known(result.pixel_accuracy),
            left_out=tuple(one.name for one in result.per_class if math.isnan(one.iou)) if absent == "skip" else (),
        )
        for run, result in zip(runs, results, strict=True)
    )
    mious = [fold.miou for fold in folds if fold.miou is not None]
    complete = len(mious) == len(folds)
    return JointScore(
        protocol=first.protocol,
        images=sum(result.images for result in results),
        miou=_known(scores.miou),
        miou_interval=miou_interval(right, unions, absent) if len(right) else None,
        pixel_accuracy=_known(scores.pixel_accuracy),
        per_class=tuple(
            ClassScore(
                name=name, iou=_known(iou), accuracy=_known(accuracy), precision=_known(precision), pixels=pixels
            )
            for name, (iou, accuracy, precision, pixels) in zip(names, values, strict=True)
        ),
        confusion_matrix=() if several else tuple(map(tuple, counts.tolist())),
        binary_counts=_binary(counts) if several else (),
        folds=folds,
        mean=statistics.fmean(mious) if complete else None,
        std=statistics.stdev(mious) if complete else None,
        interval=interval_of_mean(mious) if complete else None,
    )


def interval_of_mean(values: Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """Confidence interval of the mean of independent scores, by Student's distribution: its part in 0..1.

    Args:
        values: Two scores or more, 0..1.
        level: Probability of the interval, 0..1.
    """
    mean, error = statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))
    reach = student_quantile((1 + level) / 2, len(values) - 1) * error
    return max(0.0, mean - reach), min(1.0, mean + reach)


def student_quantile(probability: float, freedom: int) -> float:
    """The value below which Student's t lies with a probability of 0.5 or more.

    By bisection of the distribution, which for a whole number of degrees of freedom is a finite sum.

    Args:
        probability: 0.5..1, exclusive of 1.
        freedom: Degrees of freedom, 1 or more.

    Reference:
        Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    low, high = 0.0, 1.0
    while _student(high, freedom) < probability:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _student(middle, freedom) < probability else (low, middle)
    return (low + high) / 2


def _student(value: float, freedom: int) -> float:
    """Probability that Student's t is below a value of 0 or more."""
    angle = math.atan(value / math.sqrt(freedom))
    cosine = math.cos(angle)
    term, total = 1.0, 0.0
    if freedom % 2:
        for step in range(1, freedom - 1, 2):
            term = cosine if step == 1 else term * cosine**2 * (step - 1) / step
            total += term
        within = 2 / math.pi * (angle + math.sin(angle) * total)
    else:
        for step in range(0, freedom - 1, 2):
            term = 1.0 if step == 0 else term * cosine**2 * (step - 1) / step
            total += term
        within = math.sin(angle) * total
    return (1 + within) / 2


def _counts(result: Result) -> np.ndarray:
    """int64 (K, K), rows true classes; of multi-label data (K, 4)."""
    if result.binary_counts:
        return np.asarray([msgspec.structs.astuple(one) for one in result.binary_counts], np.int64)
    return np.asarray(result.confusion_matrix, np.int64)


def _binary(counts: np.ndarray) -> tuple[BinaryCounts, ...]:
    names = BinaryCounts.__struct_fields__
    return tuple(BinaryCounts(**dict(zip(names, row, strict=True))) for row in counts.tolist())


def _parts_of_images(run: Path, result: Result) -> tuple[np.ndarray, np.ndarray]:
    """Correct pixels and unions of each class in each image, int64 (N, K); (0, K) if they are not recorded."""
    classes = len(result.per_class)
    found = find_evaluation(run, result.split, result.protocol)
    details = load_details(found.folder) if found is not None else ()
    totals = [_totals(one, classes) for one in details]
    right = np.asarray([one.right for one in totals], np.int64).reshape(-1, classes)
    return right, np.asarray([one.unions for one in totals], np.int64).reshape(-1, classes)


def _totals(image: ImageDetails, classes: int) -> ClassTotals:
    if image.binary:
        table = np.zeros((classes, 4), np.int64)
        for one in image.binary:
            table[one.class_id, :3] = one.true_positives, one.false_positives, one.false_negatives
        return totals_of(table, multilabel=True)
    matrix = np.zeros((classes, classes + 1), np.int64)
    for cell in image.confusion:
        matrix[cell.truth, cell.prediction] = cell.pixels
    return totals_of(matrix)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
