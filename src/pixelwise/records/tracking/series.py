"""Named series of a run, under the same names in every tracker: `train/loss`, `val-native/miou`, `speed/...`.

Values are those of the log; what is not finite or not defined has no point.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pixelwise.recipes.overrides import flat_fields
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Environment
from pixelwise.records.log import AnyRecord, EvaluationRecord, FinishedRecord, StepRecord
from pixelwise.records.result import Result
from pixelwise.records.status import Pace

_SCORES = ("miou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou", "boundary_miou", "calibration_error")


class Point(NamedTuple):
    """A value of a series.

    Attributes:
        name: Name of the series: a group, a slash and a name.
        step: Number of steps done.
        value: The value, finite.
    """

    name: str
    step: int
    value: float


def points_of(record: AnyRecord, classes: Sequence[str]) -> list[Point]:
    """The points of a record; none for records that are no measurement.

    Args:
        record: A record of the log.
        classes: Names of the classes; if an evaluation has another number of them, it has no points per class.
    """
    if isinstance(record, StepRecord):
        fields = ("loss", "lr", "grad_norm")
        return _points("train", record.step, [(name, getattr(record, name)) for name in fields])
    if isinstance(record, EvaluationRecord):
        per_class = record.per_class_iou if len(record.per_class_iou) == len(classes) else ()
        values = [("miou", record.miou), ("pixel_accuracy", record.pixel_accuracy)]
        ious = zip(_class_series(classes), per_class, strict=False)
        return _points(f"{record.split}-{record.protocol}", record.step, [*values, *ious])
    if isinstance(record, FinishedRecord):
        values = [("seconds", record.seconds), ("peak_memory_bytes", float(record.peak_memory_bytes) or None)]
        return _points("training", record.step, values)
    return []


def points_of_pace(pace: Pace) -> list[Point]:
    """The points of a measurement of the pace: images per second, share of waiting, memory."""
    fields = ("images_per_second", "data_wait_share", "memory_bytes", "gpu_memory_bytes", "seconds")
    return _points("speed", pace.step, [(name, getattr(pace, name)) for name in fields])


def points_of_result(name: str, result: Result) -> list[Point]:
    """The points of a final result, at the step of its weights.

    Args:
        name: Name of its folder below `evaluations/`, such as `val-native`.
        result: The result.
    """
    ious = zip(
        _class_series([one.name for one in result.per_class]), [one.iou for one in result.per_class], strict=True
    )
    return _points(f"result/{name}", result.step, [*((score, getattr(result, score)) for score in _SCORES), *ious])


def parameters_of(recipe: Recipe) -> dict[str, Any]:
    """The fields of the recipe that are set, by their paths, such as `optimizer.lr`: numbers, texts and lists."""
    return flat_fields(recipe)


def tags_of(environment: Environment, data: DataFacts) -> dict[str, str]:
    """What a run is to be found by: its command, data and versions."""
    facts = {
        "command": environment.command,
        "device": environment.arguments.device,
        "dataset": data.dataset,
        "data_fingerprint": data.fingerprint,
        **{f"version.{name}": version for name, version in environment.versions.items()},
    }
    return {name: str(value) for name, value in facts.items() if value}


def _class_series(classes: Sequence[str]) -> list[str]:
    """`iou/NAME` of each class; a slash in a name would be another group, and names that become equal get their ids."""
    names = [f"iou/{name.replace('/', '_')}" for name in classes]
    return [name if names.count(name) == 1 else f"{name}-{index}" for index, name in enumerate(names)]


def _points(group: str, step: int, values: Iterable[tuple[str, float | None]]) -> list[Point]:
    return [
        Point(f"{group}/{name}", step, float(value))
        for name, value in values
        if value is not None and math.isfinite(value)
    ]
