"""Results assembled from a measurement and the origin of its weights and data."""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

from pixelwise.evaluation.groups import group_results
from pixelwise.evaluation.tally import Measurement
from pixelwise.machine.facts import machine_facts, version_facts
from pixelwise.metrics import METRICS, Value
from pixelwise.records.environment import Ancestor
from pixelwise.records.result import Result, TrainingCost
from pixelwise.records.scores import (
    CLASS_FIELDS,
    RESULT_FIELDS,
    BinaryCounts,
    CalibrationBin,
    ClassResult,
    MetricResult,
)
from pixelwise.storage.series import LARGEST_DRAWN, series_of, shown_series


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Origin of the weights; the fields are those of `Result`."""

    recipe: str
    recipe_hash: str
    weights_sha256: str
    weights: Literal["ema", "model"]
    step: int
    training: TrainingCost | None = None
    derived_from: tuple[Ancestor, ...] = ()


class Provenance(Origin, frozen=True, kw_only=True):
    """Origin of the weights, the data and the command of a measurement; the fields are those of `Result`."""

    data_fingerprint: str
    command: str
    data: str = ""
    own_data: bool | None = None
    notes: tuple[str, ...] = ()
    variant: str = ""


def make_result(measurement: Measurement, provenance: Provenance) -> Result:
    """Join a measurement with its provenance and the facts of this machine.

    Metrics listed in `RESULT_FIELDS` and `CLASS_FIELDS` get the fields named there; all others go into
    `Result.metrics`.

    Args:
        measurement: The measurement.
        provenance: Origin of its weights, data and command.
    """
    values, task, counts = measurement.values, measurement.task, measurement.counts.tolist()
    interval = values.get("miou_interval", Value()).interval
    iou = values["iou"].per_class
    own_fields: dict[str, Any] = {field: values[name].value for name, field in RESULT_FIELDS.items() if name in values}
    return Result(
        **own_fields,
        calibration=tuple(
            CalibrationBin(int(pixels), int(right), confidence)
            for pixels, right, confidence in values.get("calibration_error", Value()).bins
        ),
        per_class=_per_class(measurement),
        miou_interval=interval,
        **({} if interval is None else _drawn(measurement)),
        groups=group_results(measurement),
        metrics={name: _metric_result(name, found) for name, found in values.items() if not _has_field(name)},
        confusion_matrix=() if task.multilabel else tuple(map(tuple, counts)),
        binary_counts=tuple(map(_binary_counts, counts)) if task.multilabel else (),
        images=measurement.images,
        classes_present=sum(not math.isnan(value) for value in iou),
        split=measurement.split,
        protocol=measurement.protocol.name,
        input_size=measurement.input_size,
        seconds=measurement.seconds,
        images_per_second=measurement.images / measurement.seconds,
        peak_memory_bytes=measurement.peak_memory_bytes,
        machine=machine_facts(),
        versions=version_facts(),
        **msgspec.structs.asdict(provenance),
    )


def _drawn(measurement: Measurement) -> dict[str, int]:
    """What the interval of the mean IoU was drawn from."""
    ids = [one.id for one in measurement.per_image]
    units = len(set(series_of(ids, LARGEST_DRAWN).values()))
    return {"drawn": units, "series": 0 if units < len(ids) else shown_series(ids)}


def _per_class(measurement: Measurement) -> tuple[ClassResult, ...]:
    fields = {field: measurement.values[name] for name, field in CLASS_FIELDS.items() if name in measurement.values}
    pixels = measurement.totals.labelled.tolist()
    return tuple(
        ClassResult(
            name=name,
            **{field: value.per_class[class_id] for field, value in fields.items()},  # type: ignore[arg-type]
            pixels=pixels[class_id],
            images=extent.images,
            worst_image=extent.worst_image,
            worst_image_iou=extent.worst_image_iou,
        )
        for class_id, (name, extent) in enumerate(zip(measurement.task.classes, measurement.class_extents, strict=True))
    )


def _metric_result(name: str, found: Value) -> MetricResult:
    metric = METRICS.find(name)
    return MetricResult(
        title=metric.title,
        unit=metric.unit,
        class_title=metric.class_title,
        value=found.value,
        per_class=found.per_class,
        interval=found.interval,
    )


def _has_field(name: str) -> bool:
    return name in RESULT_FIELDS or name in CLASS_FIELDS or name == "miou_interval"


def _binary_counts(row: list[int]) -> BinaryCounts:
    return BinaryCounts(**dict(zip(BinaryCounts.__struct_fields__, row, strict=True)))
