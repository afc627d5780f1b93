import math
from pathlib import Path

import pytest

from pixelwise.errors import DataError
from pixelwise.machine.facts import Machine
from pixelwise.records.evaluations import evaluation_folder, find_result, read_evaluations, result_files
from pixelwise.records.result import ClassResult, ImageScore, Result, save_result

COUNTS = {"accuracy": 0.5, "precision": 0.5, "pixels": 8, "images": 1, "worst_image": "a"}
SCORE = ImageScore(id="a", miou=0.25, pixel_accuracy=0.5, labelled_pixels=8)


def result(split: str, protocol: str, miou: float = 0.25) -> Result:
    return Result(
        miou=miou,
        per_class=(ClassResult(name="road", iou=miou, worst_image_iou=math.nan, **COUNTS),),
        pixel_accuracy=0.5,
        confusion_matrix=((8,),),
        images=1,
        classes_present=1,
        split=split,
        protocol=protocol,
        input_size=None,
        recipe="r",
        recipe_hash="h",
        weights_sha256="w",
        weights="model",
        step=1,
        training=None,
        data_fingerprint="f",
        seconds=1.0,
        images_per_second=1.0,
        peak_memory_bytes=1,
        machine=Machine(cpu="a processor", cores=1, threads=1, gpu=None, memory_bytes=1, platform="Linux"),
        versions={},
        command="",
    )


def test_results_are_found_by_split_and_protocol(tmp_path: Path):
    for split, protocol in (("val", "native"), ("test", "native")):
        save_result(result(split, protocol), [SCORE], evaluation_folder(tmp_path, split, protocol))
    assert [path.parent.name for path in result_files(tmp_path)] == ["test-native", "val-native"]
    found = read_evaluations(tmp_path)
    assert [one.result.split for one in found] == ["test", "val"]
    assert found[0].per_image == (SCORE,)
    assert found[0].folder == tmp_path / "evaluations" / "test-native"
    one = find_result(tmp_path, "val", "native")
    assert one is not None
    assert one.miou == 0.25
    assert find_result(tmp_path, "val", "slide-64x64") is None


def test_a_run_without_results_has_none(tmp_path: Path):
    assert read_evaluations(tmp_path) == []


def test_a_damaged_result_is_named(tmp_path: Path):
    folder = evaluation_folder(tmp_path, "val", "native")
    folder.mkdir(parents=True)
    (folder / "result.json").write_text("{")
    with pytest.raises(DataError, match=r"result\.json") as caught:
        read_evaluations(tmp_path)
    assert caught.value.code == "D240"
