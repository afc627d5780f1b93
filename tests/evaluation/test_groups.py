import json
import math
from pathlib import Path

import numpy as np
import pytest
from evaluation.color_model import GreyModel, write_dataset

from pixelwise.api.evaluate import evaluate
from pixelwise.errors import RecipeError
from pixelwise.evaluation.assembling import Provenance, make_result
from pixelwise.evaluation.evaluate import evaluate_model
from pixelwise.evaluation.groups import group_results
from pixelwise.evaluation.tally import Measurement
from pixelwise.recipes.protocols import PROTOCOLS
from pixelwise.records.result import from_json, to_json

PROVENANCE = Provenance(
    recipe="x", recipe_hash="", weights_sha256="", weights="model", step=0, data_fingerprint="", command=""
)


def measured(dataset, groups: dict[str, str] | None, **options) -> Measurement:
    return evaluate_model(GreyModel(), dataset, "val", PROTOCOLS["native"], groups=groups, **options)


def test_a_group_of_one_image_has_that_images_scores(two_images):
    measurement = measured(two_images, {"image-00": "a", "image-01": "b"})
    first, second = group_results(measurement)
    # Image 0: grass is right, path 3 of a union of 4, one of the pond's two pixels is missed.
    assert (first.name, first.images, first.pixel_accuracy) == ("a", 1, 10 / 11)
    assert first.iou == (1.0, 3 / 4, 1 / 2, None)
    assert first.miou == measurement.per_image[0].miou
    assert (second.name, second.iou, second.miou, second.pixel_accuracy) == ("b", (1.0, 1.0, None, None), 1.0, 1.0)


def test_one_group_of_all_images_has_the_splits_scores(two_images):
    measurement = measured(
        two_images, dict.fromkeys(("image-00", "image-01"), "all"), metrics=("boundary_iou", "calibration_error")
    )
    (whole,) = group_results(measurement)
    assert (whole.images, whole.miou, whole.pixel_accuracy) == (2, measurement.miou, measurement.pixel_accuracy)
    assert list(whole.iou) == measurement.per_class_iou
    boundary = measurement.values["boundary_iou"]
    assert set(whole.metrics) == {"boundary_iou", "calibration_error"}
    assert whole.metrics["boundary_iou"].value == boundary.value
    assert whole.metrics["boundary_iou"].per_class[:3] == boundary.per_class[:3]
    assert whole.metrics["calibration_error"].value == measurement.values["calibration_error"].value


def test_the_scores_of_groups_do_not_change_those_of_the_split(two_images):
    metrics = ("boundary_iou", "calibration_error", "miou_interval")
    alone = measured(two_images, None, metrics=metrics)
    grouped = measured(two_images, {"image-00": "a", "image-01": "b"}, metrics=metrics)
    # NaN equals nothing, its text does.
    assert repr(alone.values) == repr(grouped.values)
    assert np.array_equal(alone.counts, grouped.counts)
    assert (alone.groups, len(grouped.groups)) == ((), 2)


def test_a_metric_that_is_not_for_groups_is_left_out_of_them(two_images):
    (group,) = group_results(
        measured(two_images, dict.fromkeys(("image-00", "image-01"), "a"), metrics=("miou_interval",))
    )
    assert group.metrics == {}


def test_groups_come_in_the_order_of_their_names(two_images):
    found = group_results(measured(two_images, {"image-00": "z", "image-01": "b"}))
    assert [group.name for group in found] == ["b", "z"]


def test_a_group_without_labels_has_no_score(tmp_path: Path):
    void = np.full((3, 4), 255, np.uint8)
    dataset = write_dataset(tmp_path, [(np.zeros((3, 4), np.uint8), void), (np.ones((3, 4), np.uint8), void)])
    measurement = measured(dataset, dict.fromkeys(("image-00", "image-01"), "a"), metrics=("boundary_iou",))
    result = make_result(measurement, PROVENANCE)
    assert math.isnan(result.groups[0].miou)
    plain = json.loads(to_json(result))["groups"][0]
    assert plain["miou"] is None
    assert plain["metrics"]["boundary_iou"] == {"value": None, "per_class": [None] * 4, "interval": None}
    again = from_json(to_json(result)).groups[0]
    assert math.isnan(again.pixel_accuracy)
    assert math.isnan(again.metrics["boundary_iou"].value)
    assert all(map(math.isnan, again.metrics["boundary_iou"].per_class))


def test_a_result_without_groups_says_so_and_one_with_groups_survives_the_disk(two_images):
    assert make_result(measured(two_images, None), PROVENANCE).groups == ()
    result = make_result(measured(two_images, {"image-00": "a", "image-01": "b"}), PROVENANCE)
    assert from_json(to_json(result)).groups == result.groups


def test_a_run_is_scored_by_groups_of_its_images_names(tiny_run: Path, tmp_path: Path, tiny_data: Path):
    run = tmp_path / "run"
    for name in ("recipe.toml", "data.json", "environment.json"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_bytes((tiny_run / name).read_bytes())
    (run / "checkpoints").symlink_to(tiny_run / "checkpoints")
    result = evaluate(run, tiny_data, group="[01]$")
    assert {group.name: group.images for group in result.groups} == {"0": 1, "1": 1, "02": 1}
    assert result.command.endswith("--group '[01]$'")
    with pytest.raises(RecipeError) as caught:
        evaluate(run, tiny_data, group="(")
    assert caught.value.code == "R203"
