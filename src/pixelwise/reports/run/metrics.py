"""Metric values as text, with titles and units, for whichever metrics a result holds."""

from __future__ import annotations

import math
from typing import NamedTuple

from pixelwise.metrics import METRICS
from pixelwise.metrics.metric import PERCENT
from pixelwise.records.result import Result
from pixelwise.records.scores import RESULT_FIELDS, GroupResult, MetricValue
from pixelwise.reports.numbers import percent

HEADLINE = ("iou", "pixel_accuracy")
"""Metrics that every table shows first and that are not repeated among the further ones."""


class MetricText(NamedTuple):
    """A metric value as text.

    Attributes:
        title: Title of the metric.
        text: The value with its unit; without the unit for percent, the default on a terminal.
        unit: Unit of the value.
    """

    title: str
    text: str
    unit: str

    @property
    def with_unit(self) -> str:
        """The text, with the unit for percent too: `53.12 %`, `4.20 px`."""
        return f"{self.text} {PERCENT}" if self.unit == PERCENT else self.text


class Column(NamedTuple):
    """The per-class values of a metric.

    Attributes:
        title: Heading of the column.
        cells: One text per class, in the order of class ids.
    """

    title: str
    cells: tuple[str, ...]


def further_values(result: Result) -> list[MetricText]:
    """Metrics of the split other than mIoU and pixel accuracy, in a fixed order."""
    found = [
        _shown(result, name, MetricValue(value=getattr(result, field)))
        for name, field in RESULT_FIELDS.items()
        if name not in HEADLINE and not math.isnan(getattr(result, field))
    ]
    return [*found, *(_shown(result, name, value) for name, value in result.metrics.items() if _has_one(value))]


def group_values(result: Result, group: GroupResult) -> list[MetricText]:
    """Metrics of a group other than mIoU and pixel accuracy."""
    return [_shown(result, name, value) for name, value in group.metrics.items() if _has_one(value)]


def class_columns(result: Result) -> list[Column]:
    """Per-class values of the metrics that have no fixed column in the class table."""
    return [
        Column(found.class_title or found.title, tuple(amount(value, found.unit) for value in found.per_class))
        for found in result.metrics.values()
        if found.per_class
    ]


def amount(value: float, unit: str) -> str:
    """`0.5312` -> `53.12` for fractions; `4.2` -> `4.20 px` for any other unit; `n/a` for NaN."""
    if unit == PERCENT or math.isnan(value):
        return percent(value)
    return f"{value:.2f} {unit}".strip()


def _shown(result: Result, name: str, found: MetricValue) -> MetricText:
    title, unit = _described(result, name)
    if found.interval is not None and math.isnan(found.value):
        return MetricText(title, _interval(found.interval, unit), unit)
    text = amount(found.value, unit)
    return MetricText(title, text if found.interval is None else f"{text} ({_interval(found.interval, unit)})", unit)


def _interval(ends: tuple[float, float], unit: str) -> str:
    return " to ".join(amount(end, unit) for end in ends)


def _described(result: Result, name: str) -> tuple[str, str]:
    """Title and unit of a metric, from the result itself if it has them: the metric may not be installed here."""
    written = result.metrics.get(name)
    if written is not None:
        return written.title, written.unit
    known = METRICS.own().get(name)
    return (known.title, known.unit) if known is not None else (name, PERCENT)


def _has_one(found: MetricValue) -> bool:
    return not math.isnan(found.value) or found.interval is not None
