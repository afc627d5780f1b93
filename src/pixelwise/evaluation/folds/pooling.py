"""The joint score of all images of a cross-validation, and the spread of its folds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pixelwise.datasets.layouts.splits import groups_of
from pixelwise.metrics.bootstrap import LEVEL, miou_interval, summed
from pixelwise.metrics.calibration import CalibrationCounts
from pixelwise.metrics.scores import ClassTotals, Scores, totals_of
from pixelwise.metrics.significance import t_quantile
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.records.details import ImageDetails, load_details
from pixelwise.records.evaluations import find_evaluation
from pixelwise.records.folds.cross_validation import OUT_OF_FOLD
from pixelwise.records.folds.summary import ClassScore, FoldScore, JointScore
from pixelwise.records.result import Result, TrainingCost
from pixelwise.records.scores import BinaryCounts, CalibrationBin
from pixelwise.storage import sha256_bytes
from pixelwise.storage.series import LARGEST_DRAWN

_ADDED_UP = ("miou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou", "classes_present")
"""Scores of a confusion matrix that are fields of a result, too."""


def joint_score(runs: Sequence[Path], results: Sequence[Result], group: str | None = None) -> JointScore:
    """The score of all images under one protocol, from one confusion matrix.

    Args:
        runs: The run folder of each fold.
        results: The result of each fold on the images that it holds out, under the same protocol.
        group: Regular expression that finds the name of an image's group; None for the series that the names show.
            Images of one group may be alike, so they are drawn together for the interval.
    """
    first, (counts, scores) = results[0], _added_up(results)
    absent = find_protocol(first.protocol).absent
    right, unions = _by_groups(
        [one for run, result in zip(runs, results, strict=True) for one in _details_of(run, result)],
        len(first.per_class),
        group,
    )
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
        drawn=len(right),
        pixel_accuracy=_known(scores.pixel_accuracy),
        per_class=tuple(
            ClassScore(
                name=name, iou=_known(iou), accuracy=_known(accuracy), precision=_known(precision), pixels=pixels
            )
            for name, (iou, accuracy, precision, pixels) in zip(names, values, strict=True)
        ),
        **counts,
        folds=folds,
        mean=statistics.fmean(mious) if complete else None,
        std=statistics.stdev(mious) if complete else None,
        interval=interval_of_mean(mious) if complete else None,
    )


def pooled_result(results: Sequence[Result], fingerprint: str) -> Result:
    """The result of all images, as if one network had predicted them: its counts are the sums of those of the folds.

    What cannot be added up is undefined, such as the boundary IoU; what is known of the machine is that of the first
    fold.

    Args:
        results: The result of each fold on the images that it holds out, under the same protocol.
        fingerprint: Fingerprint of all images and masks.
    """
    first, (counts, scores) = results[0], _added_up(results)
    bins = _sum_of_bins(results)
    seconds, images = sum(one.seconds for one in results), sum(one.images for one in results)
    return msgspec.structs.replace(
        first,
        **{name: getattr(scores, name) for name in _ADDED_UP},
        per_class=tuple(
            msgspec.structs.replace(
                one,
                **{name: getattr(scores, name)[place] for name in ("iou", "accuracy", "precision", "f1", "pixels")},
                boundary_iou=math.nan,
                images=sum(result.per_class[place].images for result in results),
                worst_image=None,
                worst_image_iou=math.nan,
            )
            for place, one in enumerate(first.per_class)
        ),
        **counts,
        boundary_miou=math.nan,
        calibration_error=math.nan if bins is None else bins.error,
        calibration=() if bins is None else _binned(bins),
        miou_interval=None,
        drawn=None,
        series=0,
        groups=(),
        metrics={},
        images=images,
        split=OUT_OF_FOLD,
        weights_sha256=sha256_bytes("\n".join(one.weights_sha256 for one in results).encode()),
        training=_sum_of_costs(results),
        data_fingerprint=fingerprint,
        seconds=seconds,
        images_per_second=images / seconds if seconds else math.nan,
        peak_memory_bytes=max(one.peak_memory_bytes for one in results),
        command="",
        notes=tuple(dict.fromkeys(note for one in results for note in one.notes)),
        per_image=(),
    )


def interval_of_mean(values: Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """Confidence interval of the mean of independent scores, by Student's distribution: its part in 0..1.

    Args:
        values: Two scores or more, 0..1.
        level: Probability of the interval, 0..1.
    """
    mean, error = statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))
    reach = t_quantile(level, len(values) - 1) * error
    return max(0.0, mean - reach), min(1.0, mean + reach)


def _added_up(results: Sequence[Result]) -> tuple[dict[str, Any], Scores]:
    """The counts of all folds added up, by the names of their fields, and the scores of the sum."""
    several = bool(results[0].binary_counts)
    counts = sum(map(_counts, results[1:]), start=_counts(results[0]))
    fields = {
        "confusion_matrix": () if several else tuple(map(tuple, counts.tolist())),
        "binary_counts": _binary(counts) if several else (),
    }
    return fields, totals_of(counts, multilabel=several).scores(find_protocol(results[0].protocol).absent)


def _sum_of_bins(results: Sequence[Result]) -> CalibrationCounts | None:
    """The bins of confidence over all folds; None if one of them was not measured."""
    if not all(one.calibration for one in results):
        return None
    columns = (zip(*map(msgspec.structs.astuple, one.calibration), strict=True) for one in results)
    first, *others = (CalibrationCounts(*map(np.asarray, three)) for three in columns)
    return sum(others, start=first)


def _binned(counts: CalibrationCounts) -> tuple[CalibrationBin, ...]:
    columns = (column.tolist() for column in counts)
    return tuple(CalibrationBin(*three) for three in zip(*columns, strict=True))


def _sum_of_costs(results: Sequence[Result]) -> TrainingCost | None:
    costs = [one.training for one in results if one.training is not None]
    if len(costs) < len(results):
        return None
    planned = [one.planned_steps for one in costs if one.planned_steps is not None]
    return TrainingCost(
        steps=sum(one.steps for one in costs),
        seconds=sum(one.seconds for one in costs),
        peak_memory_bytes=max(one.peak_memory_bytes for one in costs),
        planned_steps=sum(planned) if len(planned) == len(costs) else None,
    )


def _counts(result: Result) -> np.ndarray:
    """int64 (K, K), rows true classes; of multi-label data (K, 4)."""
    if result.binary_counts:
        return np.asarray([msgspec.structs.astuple(one) for one in result.binary_counts], np.int64)
    return np.asarray(result.confusion_matrix, np.int64)


def _binary(counts: np.ndarray) -> tuple[BinaryCounts, ...]:
    names = BinaryCounts.__struct_fields__
    return tuple(BinaryCounts(**dict(zip(names, row, strict=True))) for row in counts.tolist())


def _details_of(run: Path, result: Result) -> Sequence[ImageDetails]:
    """What is known of each image; empty if it is not recorded."""
    found = find_evaluation(run, result.split, result.protocol)
    return load_details(found.folder) if found is not None else ()


def _by_groups(images: Sequence[ImageDetails], classes: int, group: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Correct pixels and unions of each class in each group of images, int64 (G, K)."""
    groups = groups_of([one.id for one in images], group, LARGEST_DRAWN)
    totals = [_totals(image, classes) for image in images]
    rows = np.asarray([(one.right, one.unions) for one in totals], np.int64).reshape(-1, 2, classes)
    sums = summed(rows, [groups[image.id] for image in images])
    return sums[:, 0], sums[:, 1]


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
