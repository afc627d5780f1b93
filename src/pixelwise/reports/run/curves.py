"""The IoU of each class over a training as small drawings of equal scale, in the colours of the page around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pixelwise.records.log import EvaluationRecord
from pixelwise.reports.run.records import RunRecords

WIDTH, HEIGHT = 120.0, 36.0
"""Size of a drawing in its own units; 0 % is at the bottom and 100 % at the top."""
LEAST_EVALUATIONS = 2


class ClassCurve(NamedTuple):
    """The IoU of a class over the training.

    Attributes:
        name: Name of the class.
        points: Points of the line in SVG, `x,y x,y ...`; the line leaves out evaluations without an IoU.
        best: The point of the highest IoU, (x, y).
        last: Last IoU in percent, as text.
        summary: The curve as a sentence, for screen readers.
    """

    name: str
    points: str
    best: tuple[float, float]
    last: str
    summary: str


def class_curves(run: RunRecords, classes: Sequence[str]) -> list[ClassCurve]:
    """The curves of all classes that had an IoU at least twice, in the order of class ids.

    Args:
        run: The records of the run.
        classes: Names of the classes; without one for every logged value, there are no curves.
    """
    records = [record for record in run.log.of(EvaluationRecord) if len(record.per_class_iou) == len(classes)]
    if records:
        # Several splits or protocols would be several curves; the charts show the first one too.
        first = min((record.split, record.protocol) for record in records)
        records = [record for record in records if (record.split, record.protocol) == first]
    curves = []
    for class_id, name in enumerate(classes):
        found = [(record.step, record.per_class_iou[class_id]) for record in records]
        known = [(step, iou) for step, iou in found if iou is not None]
        if len(known) >= LEAST_EVALUATIONS:
            curves.append(_curve(name, known, records[0].step, records[-1].step))
    return curves


def _curve(name: str, known: Sequence[tuple[int, float]], first: int, last: int) -> ClassCurve:
    points = [(WIDTH * (step - first) / max(1, last - first), HEIGHT * (1 - iou)) for step, iou in known]
    best = max(range(len(known)), key=lambda index: known[index][1])
    step, iou = known[best]
    return ClassCurve(
        name=name,
        points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points),
        best=(round(points[best][0], 1), round(points[best][1], 1)),
        last=f"{100 * known[-1][1]:.1f}",
        summary=f"IoU of {name}: {100 * known[0][1]:.1f} to {100 * known[-1][1]:.1f} %, best {100 * iou:.1f} % at "
        f"step {step}.",
    )
