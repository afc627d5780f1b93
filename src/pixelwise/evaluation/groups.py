"""Scores of groups of images within a split, such as sequences, sites or patients.

The confusion matrix of the whole split can hide that one group is far worse than the others.
"""

from __future__ import annotations

import math

from pixelwise.evaluation.tally import GroupMeasurement, Measurement
from pixelwise.records.scores import GroupResult, MetricValue

_OWN_FIELDS = ("iou", "pixel_accuracy")
"""Metrics with their own fields in `GroupResult`."""


def group_results(measurement: Measurement) -> tuple[GroupResult, ...]:
    """The scores of every group, in the order of their names."""
    return tuple(map(_group_result, measurement.groups))


def _group_result(group: GroupMeasurement) -> GroupResult:
    iou = group.values["iou"]
    return GroupResult(
        name=group.name,
        images=group.images,
        miou=iou.value,
        pixel_accuracy=group.values["pixel_accuracy"].value,
        iou=tuple(None if math.isnan(value) else value for value in iou.per_class),
        metrics={
            name: MetricValue(value=found.value, per_class=found.per_class, interval=found.interval)
            for name, found in group.values.items()
            if name not in _OWN_FIELDS
        },
    )
