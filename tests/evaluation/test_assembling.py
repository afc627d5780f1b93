from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import msgspec
import pytest
from evaluation.color_model import GreyModel

from pixelwise.errors import DataError
from pixelwise.evaluation.assembling import Provenance, make_result
from pixelwise.evaluation.evaluate import evaluate_model
from pixelwise.metrics import Value
from pixelwise.recipes.protocols import PROTOCOLS
from pixelwise.records.result import Result, from_json, load_per_image, load_result, save_result, to_json

REPOSITORY = Path(__file__).resolve().parents[2]
PROVENANCE = Provenance(
    recipe="town-demo",
    recipe_hash="ab" * 32,
    weights_sha256="cd" * 32,
    weights="ema",
    step=1200,
    data_fingerprint="ef" * 32,
    command="pixelwise evaluate runs/x --split val",
)
KEYS = {
    "miou", "per_class", "pixel_accuracy", "binary_counts", "confusion_matrix", "images", "classes_present", "split",
    "protocol", "input_size", "recipe", "recipe_hash", "weights_sha256", "weights", "step", "training",
    "data_fingerprint", "seconds", "images_per_second", "peak_memory_bytes", "machine", "versions",
    "command", "miou_interval", "drawn", "series", "mean_accuracy", "frequency_weighted_iou", "boundary_miou",
    "calibration", "calibration_error",
    "groups", "metrics", "data", "own_data", "derived_from", "notes", "variant",
}  # fmt: skip


@pytest.fixture
def measurement(two_images):
    return evaluate_model(GreyModel(), two_images, "val", PROTOCOLS["native"], metrics=("miou_interval",))


@pytest.fixture
def result(measurement) -> Result:
    return make_result(measurement, PROVENANCE)


def test_the_json_has_exactly_the_promised_keys(result):
    plain = json.loads(to_json(result))

    assert set(plain) == KEYS
    assert set(plain["per_class"][0]) == {
        "name", "iou", "accuracy", "precision", "pixels", "images", "worst_image", "worst_image_iou",
        "f1", "boundary_iou",
    }  # fmt: skip
    assert set(plain["machine"]) == {
        "cpu",
        "cores",
        "threads",
        "gpu",
        "memory_bytes",
        "platform",
        "features",
        "processes",
        "hosts",
    }


def test_the_numbers_are_those_of_the_measurement(result, measurement):
    plain = json.loads(to_json(result))

    assert plain["miou"] == measurement.miou
    assert plain["confusion_matrix"][2] == [0, 1, 1, 0]
    assert plain["images"] == 2
    assert plain["classes_present"] == 3
    assert plain["protocol"] == "native"
    assert plain["per_class"][1] == {
        "name": "path",
        "iou": 7 / 8,
        "accuracy": 1.0,
        "precision": 7 / 8,
        "pixels": 7,
        "images": 2,
        "worst_image": "image-00",
        "worst_image_iou": 3 / 4,
        "f1": 14 / 15,
        "boundary_iou": None,
    }
    assert plain["images_per_second"] == pytest.approx(2 / plain["seconds"])


def test_a_class_that_occurs_nowhere_is_null_in_json_and_nan_in_memory(result, tmp_path):
    path = save_result(result, (), tmp_path / "evaluation")

    assert json.loads(path.read_bytes())["per_class"][3]["iou"] is None
    assert math.isnan(load_result(path).per_class[3].iou)


def test_a_result_survives_the_disk(result, measurement, tmp_path):
    save_result(result, measurement.per_image, tmp_path / "evaluations" / "val-native")

    loaded = load_result(tmp_path / "evaluations" / "val-native")

    assert to_json(loaded) == to_json(result)
    assert loaded.input_size is None
    assert loaded.machine == result.machine


def test_a_fixed_input_size_survives_the_disk(measurement, tmp_path):
    fixed = make_result(msgspec.structs.replace(measurement, input_size=(360, 480)), PROVENANCE)

    assert load_result(save_result(fixed, (), tmp_path)).input_size == (360, 480)


def test_per_class_csv_has_a_row_per_class_and_empty_cells_for_what_does_not_exist(result, tmp_path):
    save_result(result, (), tmp_path)

    with open(tmp_path / "per_class.csv", newline="") as file:
        rows = list(csv.DictReader(file))

    assert [row["name"] for row in rows] == ["grass", "path", "pond", "hut"]
    assert rows[1]["iou"] == "0.875"
    assert rows[3]["iou"] == ""


def test_per_image_scores_survive_the_disk(result, measurement, tmp_path):
    save_result(result, measurement.per_image, tmp_path)

    assert load_per_image(tmp_path) == measurement.per_image


def test_ids_with_commas_and_quotes_survive_the_table(result, measurement, tmp_path):
    odd = msgspec.structs.replace(measurement.per_image[0], id='a,"b"/c d')

    save_result(result, [odd], tmp_path)

    assert load_per_image(tmp_path)[0].id == 'a,"b"/c d'


def test_no_table_of_images_is_no_error(tmp_path):
    assert load_per_image(tmp_path) == ()


def test_a_folder_without_result_is_named(tmp_path):
    with pytest.raises(DataError, match=r"result\.json") as caught:
        load_result(tmp_path)

    assert caught.value.code == "D240"


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"per_class": []}', b'{"per_class": [1]}', b"\xff"])
def test_a_file_that_is_no_result_is_refused_with_its_name(tmp_path, content):
    (tmp_path / "result.json").write_bytes(content)

    with pytest.raises(DataError, match=r"result\.json") as caught:
        load_result(tmp_path)

    assert caught.value.code == "D240"


def test_a_table_that_is_no_table_of_images_is_refused(tmp_path):
    (tmp_path / "per_image.csv").write_text("id,miou\na,0.5\n")

    with pytest.raises(DataError, match=r"per_image\.csv") as caught:
        load_per_image(tmp_path)

    assert caught.value.code == "D240"


def test_what_was_not_measured_is_null_and_comes_back_as_nan(result, measurement):
    plain = json.loads(to_json(result))

    assert plain["boundary_miou"] is plain["calibration_error"] is plain["per_class"][0]["boundary_iou"] is None
    assert math.isnan(from_json(to_json(result)).calibration_error)
    assert plain["miou_interval"] == list(measurement.values["miou_interval"].interval)
    assert plain["mean_accuracy"] == pytest.approx((1 + 1 + 1 / 2) / 3)
    assert plain["per_class"][1]["f1"] == 14 / 15


@pytest.mark.parametrize(
    ("names", "drawn", "series"),
    [
        ([f"drive{series:02d}_{frame}" for series in range(12) for frame in range(4)], 12, 0),
        ([f"{name}_{frame:03d}" for name in ("0001TP", "Seq05VD") for frame in range(9)], 18, 2),
        ([f"photo{number}" for number in range(9)], 9, 0),
    ],
)
def test_a_result_says_what_its_interval_was_drawn_from(measurement, names: list[str], drawn: int, series: int):
    images = tuple(msgspec.structs.replace(measurement.per_image[0], id=name) for name in names)
    changed = msgspec.structs.replace(measurement, per_image=images)

    found = make_result(changed, PROVENANCE)

    assert (found.drawn, found.series) == (drawn, series)
    without = msgspec.structs.replace(changed, values={**measurement.values, "miou_interval": Value()})
    assert (make_result(without, PROVENANCE).drawn, make_result(without, PROVENANCE).series) == (None, 0)


def test_results_of_earlier_versions_still_load(result):
    plain = json.loads(to_json(result))
    for key in (
        "miou_interval",
        "drawn",
        "series",
        "mean_accuracy",
        "frequency_weighted_iou",
        "boundary_miou",
        "calibration_error",
    ):
        del plain[key]
    for entry in plain["per_class"]:
        del entry["f1"], entry["boundary_iou"]

    loaded = from_json(json.dumps(plain).encode())

    assert (loaded.miou, loaded.miou_interval, loaded.drawn) == (result.miou, None, None)
    assert math.isnan(loaded.mean_accuracy)
    assert math.isnan(loaded.per_class[0].f1)


def test_the_committed_results_load():
    # Benchmarks of speed and memory put theirs into the same folder.
    written = sorted((REPOSITORY / "benchmarks" / "results").glob("*.json"))
    files = [file for file in written if "confusion_matrix" in json.loads(file.read_bytes())]

    assert files
    assert all(0 < load_result(file).miou < 1 for file in files)
