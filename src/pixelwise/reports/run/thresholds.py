"""What the mask of a class would be with another threshold of its probability than a half."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from pixelwise.errors import harmless
from pixelwise.evaluation.thresholds import HALF, LEVELS
from pixelwise.records.details import SavedSamples
from pixelwise.records.result import Result
from pixelwise.reports.numbers import NOT_AVAILABLE, count, many, percent

Levels = tuple[list[int], list[int]]
"""Pixels of each level of probability: those labelled as the class, and the others."""


class Scores(NamedTuple):
    """Scores of a class with a threshold, 0..1; None where nothing is labelled or predicted."""

    iou: float | None
    precision: float | None
    recall: float | None


class ThresholdRow(NamedTuple):
    """A class in the table; all fields but the first are percent as text.

    Attributes:
        name: Name of the class.
        iou: IoU with a threshold of a half.
        best: The threshold with the highest IoU; of several the one nearest to a half.
        best_iou: IoU with that threshold.
        precision: Precision with that threshold.
        recall: Recall with that threshold.
    """

    name: str
    iou: str
    best: str
    best_iou: str
    precision: str
    recall: str


class Thresholds(NamedTuple):
    """Thresholds of an evaluation.

    Attributes:
        rows: The classes, in the order of class ids.
        counted: What was counted, such as `all 30 images`.
        whole: Whether these are all images of the split.
        data: What the script of the page needs, as JSON without `<`.
    """

    rows: list[ThresholdRow]
    counted: str
    whole: bool
    data: str


def thresholds_of(result: Result, saved: SavedSamples | None, foreground: int | None) -> Thresholds | None:
    """The thresholds of an evaluation; None if no probabilities were kept.

    Args:
        result: The evaluation.
        saved: The images that are kept in full, on which the probabilities were counted.
        foreground: Of two classes, the id of the one in question; None for any other data.
    """
    classes = _levels(saved, foreground) if saved is not None else {}
    if saved is None or not classes:
        return None
    names = {class_id: harmless(result.per_class[class_id].name) for class_id in classes}
    plain = [
        {"id": class_id, "name": names[class_id], "labelled": labelled, "other": other}
        for class_id, (labelled, other) in classes.items()
    ]
    number = sum(bool(sample.levels) for sample in saved.samples)
    whole = number >= result.images
    counted = f"all {many(number, 'image')}" if whole else f"{count(number)} of {count(result.images)} images"
    return Thresholds(
        rows=[_row(names[class_id], *levels) for class_id, levels in classes.items()],
        counted=counted,
        whole=whole,
        data=json.dumps({"classes": plain}, separators=(",", ":")).replace("<", "\\u003c"),
    )


def _levels(saved: SavedSamples, foreground: int | None) -> dict[int, Levels]:
    """Id of a class -> its levels over all images."""
    found: dict[int, Levels] = {}
    for sample in saved.samples:
        for one in sample.levels:
            if len(one.labelled) != LEVELS or len(one.other) != LEVELS or not 0 <= one.class_id < len(saved.classes):
                return {}
            labelled, other = found.setdefault(one.class_id, ([0] * LEVELS, [0] * LEVELS))
            for level in range(LEVELS):
                labelled[level] += one.labelled[level]
                other[level] += one.other[level]
    if foreground == 0 and set(found) == {1}:
        # Recorded is the probability of class 1: that of class 0 is the rest of 100 %.
        labelled, other = found.pop(1)
        found[0] = (other[::-1], labelled[::-1])
    return dict(sorted(found.items()))


def scores_at(threshold: int, labelled: Sequence[int], other: Sequence[int]) -> Scores:
    """Scores of a class with a threshold in percent.

    Args:
        threshold: Pixels with a greater probability get the class.
        labelled: Pixels labelled as the class, by level.
        other: Other labelled pixels, by level.
    """
    both, all_labelled, invented = sum(labelled[threshold:]), sum(labelled), sum(other[threshold:])
    return Scores(
        iou=_ratio(both, all_labelled + invented),
        precision=_ratio(both, both + invented),
        recall=_ratio(both, all_labelled),
    )


def best_threshold(labelled: Sequence[int], other: Sequence[int]) -> int:
    """The threshold with the highest IoU, in percent from 1 to 99; of several the one nearest to a half."""
    return max(range(1, LEVELS), key=lambda one: (scores_at(one, labelled, other).iou or 0.0, -abs(one - HALF)))


def _row(name: str, labelled: Sequence[int], other: Sequence[int]) -> ThresholdRow:
    best = best_threshold(labelled, other)
    scores = scores_at(best, labelled, other)
    return ThresholdRow(
        name=name,
        iou=_text(scores_at(HALF, labelled, other).iou),
        best=f"{best}",
        best_iou=_text(scores.iou),
        precision=_text(scores.precision),
        recall=_text(scores.recall),
    )


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _text(value: float | None) -> str:
    return NOT_AVAILABLE if value is None else percent(value)
