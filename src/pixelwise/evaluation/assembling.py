"""A measurement and where its weights and data come from, made into a result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import msgspec

from pixelwise.evaluation.groups import group_results
from pixelwise.evaluation.tally import Measurement
from pixelwise.machine.facts import machine_facts, version_facts
from pixelwise.metrics.scores import mean_of
from pixelwise.records.result import BinaryCounts, ClassResult, Result, TrainingCost


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where weights come from; the fields mean what they mean in `Result`."""

    recipe: str
    recipe_hash: str
    weights_sha256: str
    weights: Literal["ema", "model"]
    step: int
    training: TrainingCost | None = None


class Provenance(Origin, frozen=True, kw_only=True):
    """What a measurement cannot know about itself; the fields mean what they mean in `Result`."""

    data_fingerprint: str
    command: str


def make_result(measurement: Measurement, provenance: Provenance, groups: Mapping[str, str] | None = None) -> Result:
    """Join a measurement with where its weights and data come from, on this machine.

    Args:
        measurement: What was found.
        provenance: What it cannot know.
        groups: Sample id -> name of its group; None: no groups are scored.
    """
    found = measurement.scores
    boundary = measurement.boundary_iou or (math.nan,) * len(measurement.classes)
    per_class = tuple(
        ClassResult(
            name=name,
            iou=found.iou[class_id],
            accuracy=found.accuracy[class_id],
            precision=found.precision[class_id],
            f1=found.f1[class_id],
            boundary_iou=boundary[class_id],
            pixels=found.pixels[class_id],
            images=extent.images,
            worst_image=extent.worst_image,
            worst_image_iou=extent.worst_image_iou,
        )
        for class_id, (name, extent) in enumerate(zip(measurement.classes, measurement.class_extents, strict=True))
    )
    return Result(
        miou=found.miou,
        per_class=per_class,
        pixel_accuracy=found.pixel_accuracy,
        miou_interval=measurement.miou_interval,
        mean_accuracy=found.mean_accuracy,
        frequency_weighted_iou=found.frequency_weighted_iou,
        boundary_miou=mean_of(boundary, "skip"),
        calibration_error=measurement.calibration_error,
        groups=group_results(measurement, groups) if groups is not None else (),
        confusion_matrix=tuple(map(tuple, measurement.confusion_matrix.tolist())),
        binary_counts=_binary_counts(measurement),
        images=measurement.images,
        classes_present=found.classes_present,
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


def _binary_counts(measurement: Measurement) -> tuple[BinaryCounts, ...]:
    if measurement.binary_counts is None:
        return ()
    names = BinaryCounts.__struct_fields__
    return tuple(BinaryCounts(**dict(zip(names, row, strict=True))) for row in measurement.binary_counts.tolist())
