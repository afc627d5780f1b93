"""Values of metrics that have no field of their own, in the files of a result."""

from __future__ import annotations

import csv
import json
import math
from typing import Any

import msgspec
import pytest

from pixelwise.machine.facts import Machine
from pixelwise.records.result import (
    ClassResult,
    GroupResult,
    ImageScore,
    MetricResult,
    Result,
    load_result,
    save_result,
    to_json,
)
from pixelwise.records.scores import MetricValue

MACHINE = Machine(cpu="x", cores=2, threads=2, gpu=None, memory_bytes=1, platform="p", features=())
PER_IMAGE = (
    ImageScore(id="image-00", miou=3 / 4, pixel_accuracy=10 / 11, labelled_pixels=11),
    ImageScore(id="image-01", miou=math.nan, pixel_accuracy=math.nan, labelled_pixels=0),
)


def class_result(name: str, iou: float, **changes: Any) -> ClassResult:
    known: dict[str, Any] = {"accuracy": iou, "precision": iou, "f1": iou, "pixels": 7, "images": 1}
    return ClassResult(name=name, iou=iou, worst_image="image-00", worst_image_iou=iou, **{**known, **changes})


def result_of(**changes: Any) -> Result:
    """A result of three classes, the last of which occurs nowhere."""
    fields: dict[str, Any] = {
        "miou": 0.75,
        "per_class": (class_result("grass", 0.875), class_result("path", 0.625), class_result("hut", math.nan)),
        "pixel_accuracy": 0.9,
        "confusion_matrix": ((7, 0, 0), (1, 6, 0), (0, 0, 0)),
        "images": 2,
        "classes_present": 2,
        "split": "val",
        "protocol": "native",
        "input_size": None,
        "recipe": "r",
        "recipe_hash": "h",
        "weights_sha256": "w",
        "weights": "ema",
        "step": 1200,
        "training": None,
        "data_fingerprint": "f",
        "seconds": 2.0,
        "images_per_second": 1.0,
        "peak_memory_bytes": 3,
        "machine": MACHINE,
        "versions": {"python": "3"},
        "command": "pixelwise evaluate runs/x",
        "miou_interval": (0.5, 0.9),
        "mean_accuracy": 0.8,
    }
    return Result(**{**fields, **changes})


@pytest.fixture
def result() -> Result:
    return result_of()


DICE = MetricResult(title="mean Dice", unit="%", class_title="Dice", value=0.5, per_class=(0.25, 0.75, math.nan))


def test_values_of_any_metric_survive_the_disk_in_the_split_and_in_groups(tmp_path):
    of_group = GroupResult(
        name="a",
        images=1,
        miou=0.5,
        pixel_accuracy=0.5,
        iou=(0.5, None, None),
        metrics={
            "dice": MetricValue(value=math.nan, per_class=(math.nan, 0.5, 1.0)),
            "spread": MetricValue(interval=(1.0, 2.0)),
        },
    )
    result = result_of(metrics={"dice": DICE}, groups=(of_group,))

    path = save_result(result, PER_IMAGE, tmp_path)
    plain, again = json.loads(path.read_bytes()), load_result(path)

    assert plain["metrics"]["dice"] == {
        "value": 0.5,
        "per_class": [0.25, 0.75, None],
        "interval": None,
        "title": "mean Dice",
        "unit": "%",
        "class_title": "Dice",
    }
    assert plain["groups"][0]["metrics"]["dice"]["value"] is None
    assert to_json(again) == to_json(result)
    assert math.isnan(again.metrics["dice"].per_class[2])
    assert math.isnan(again.groups[0].metrics["dice"].value)
    assert again.groups[0].metrics["spread"].interval == (1.0, 2.0)


def test_metrics_per_class_are_columns_of_the_table(tmp_path):
    save_result(result_of(metrics={"dice": DICE, "kappa": MetricResult(title="k", unit="", value=1.0)}), (), tmp_path)

    with open(tmp_path / "per_class.csv", newline="") as file:
        rows = list(csv.DictReader(file))

    assert [row["dice"] for row in rows] == ["0.25", "0.75", ""]
    assert "kappa" not in rows[0]


def test_labelled_pixels_are_those_of_all_classes(result):
    assert (result.labelled_pixels, result.multilabel) == (21, False)


def test_an_undefined_bound_of_an_interval_is_nan_again_in_the_split_and_in_groups(tmp_path):
    half = msgspec.structs.replace(DICE, interval=(0.5, math.nan))
    of_group = MetricValue(value=0.5, interval=(math.nan, math.nan))
    group = GroupResult(name="a", images=1, miou=0.5, pixel_accuracy=0.5, iou=(0.5,), metrics={"dice": of_group})
    save_result(result_of(metrics={"dice": half}, groups=(group,), miou_interval=(math.nan, 1.0)), (), tmp_path)
    found = load_result(tmp_path)
    ends = found.metrics["dice"].interval, found.groups[0].metrics["dice"].interval, found.miou_interval
    assert repr(ends) == "((0.5, nan), (nan, nan), (nan, 1.0))"
