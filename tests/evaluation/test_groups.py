import json
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from evaluation.color_model import GreyModel

from pixelwise.errors import RecipeError
from pixelwise.evaluation.assembling import Provenance, make_result
from pixelwise.evaluation.evaluate import evaluate_model
from pixelwise.evaluation.groups import group_results
from pixelwise.evaluation.runs import evaluate
from pixelwise.recipes.protocols import PROTOCOLS
from pixelwise.records.result import from_json, to_json

PROVENANCE = Provenance(
    recipe="x", recipe_hash="", weights_sha256="", weights="model", step=0, data_fingerprint="", command=""
)


@pytest.fixture
def measurement(two_images):
    return evaluate_model(GreyModel(), two_images, "val", PROTOCOLS["native"])


def test_a_group_of_one_image_has_that_images_scores(measurement):
    first, second = group_results(measurement, {"image-00": "a", "image-01": "b"})
    # Image 0: 6 of field, 3 of 4 (union) of path, the pond's pixel missed once of two, see conftest.
    assert (first.name, first.images, first.pixel_accuracy) == ("a", 1, 10 / 11)
    assert first.miou == measurement.per_image[0].miou
    assert (second.name, second.iou, second.miou, second.pixel_accuracy) == ("b", (1.0, 1.0, None, None), 1.0, 1.0)


def test_one_group_of_all_images_has_the_splits_scores(measurement):
    (whole,) = group_results(measurement, dict.fromkeys(("image-00", "image-01"), "all"))
    assert (whole.images, whole.miou, whole.pixel_accuracy) == (2, measurement.miou, measurement.pixel_accuracy)
    assert list(whole.iou) == measurement.per_class_iou


def test_groups_come_in_the_order_of_their_names(measurement):
    assert [group.name for group in group_results(measurement, {"image-00": "z", "image-01": "b"})] == ["b", "z"]


def test_a_group_without_labels_has_no_score(measurement):
    empty = msgspec.structs.replace(
        measurement,
        per_image=tuple(msgspec.structs.replace(image, labelled_pixels=0) for image in measurement.per_image),
        image_counts=np.zeros_like(measurement.image_counts),
    )
    result = make_result(empty, PROVENANCE, {"image-00": "a", "image-01": "a"})
    assert math.isnan(result.groups[0].miou)
    assert json.loads(to_json(result))["groups"][0]["miou"] is None
    assert math.isnan(from_json(to_json(result)).groups[0].pixel_accuracy)


def test_a_result_without_groups_says_so_and_one_with_groups_survives_the_disk(measurement):
    assert make_result(measurement, PROVENANCE).groups == ()
    result = make_result(measurement, PROVENANCE, {"image-00": "a", "image-01": "b"})
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
    with pytest.raises(RecipeError, match="is no regular expression"):
        evaluate(run, tiny_data, group="(")
