"""Values of metrics that have no field of their own, in the files of a result."""

from __future__ import annotations

import csv
import json
import math

import msgspec
import pytest
from results import miniature

from pixelwise.records.result import (
    GroupResult,
    ImageScore,
    MetricResult,
    Result,
    load_result,
    save_result,
    to_json,
)
from pixelwise.records.scores import MetricValue

PER_IMAGE = (
    ImageScore(id="image-00", miou=3 / 4, pixel_accuracy=10 / 11, labelled_pixels=11),
    ImageScore(id="image-01", miou=math.nan, pixel_accuracy=math.nan, labelled_pixels=0),
)


@pytest.fixture
def result() -> Result:
    return miniature()


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
    result = miniature(metrics={"dice": DICE}, groups=(of_group,))

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
    save_result(miniature(metrics={"dice": DICE, "kappa": MetricResult(title="k", unit="", value=1.0)}), (), tmp_path)

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
    save_result(miniature(metrics={"dice": half}, groups=(group,), miou_interval=(math.nan, 1.0)), (), tmp_path)
    found = load_result(tmp_path)
    ends = found.metrics["dice"].interval, found.groups[0].metrics["dice"].interval, found.miou_interval
    assert repr(ends) == "((0.5, nan), (nan, nan), (nan, 1.0))"
