"""The curves of a training as numbers, which the page draws."""

from __future__ import annotations

from typing import Any

from pixelwise.records.log import EvaluationRecord, Log, StepRecord
from pixelwise.reports.run.charts import downsampled, smoothed

MOST_POINTS = 2000


def curves_of(log: Log, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """The curves of a log as JSON values: loss, mIoU, IoU of each class, learning rate; only those that were logged.

    Args:
        log: The log of the run.
        classes: Names of the classes; empty if they are not known.
    """
    steps, scored = log.of(StepRecord), log.of(EvaluationRecord)
    found = []
    if steps:
        loss = [(one.step, one.loss) for one in steps]
        smooth = list(zip((one.step for one in steps), smoothed([one.loss for one in steps]), strict=True))
        found.append(_curve("Training loss", {"loss": loss, "smoothed": smooth}))
    if scored:
        miou = [(one.step, None if one.miou is None else 100 * one.miou) for one in scored]
        found.append(_curve(f"mIoU on {scored[-1].split}, %", {"mIoU": miou}))
    if len(scored) > 1 and classes and all(len(one.per_class_iou) == len(classes) for one in scored):
        lines = {
            name: [(one.step, None if (iou := one.per_class_iou[index]) is None else 100 * iou) for one in scored]
            for index, name in enumerate(classes)
        }
        found.append(_curve("IoU of each class, %", lines))
    if steps:
        found.append(_curve("Learning rate", {"learning rate": [(one.step, one.lr) for one in steps]}))
    return found


def _curve(title: str, lines: dict[str, list[tuple[int, Any]]]) -> dict[str, Any]:
    """A chart: its title, the steps, and for each line its name and its values at these steps."""
    steps, values = [], []
    for points in lines.values():
        thinned = points if len(points) <= MOST_POINTS else downsampled(points, MOST_POINTS)
        steps = [step for step, _ in thinned]
        values.append([value for _, value in thinned])
    return {"title": title, "steps": steps, "names": list(lines), "values": values}
