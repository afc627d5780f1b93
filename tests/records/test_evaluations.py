import math
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.errors import DataError
from pixelwise.machine.facts import Machine
from pixelwise.records.evaluations import (
    earlier_result,
    evaluation_folder,
    find_result,
    folder_for,
    read_evaluations,
    result_files,
)
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


def other(one: Result, **fields: object) -> Result:
    return msgspec.structs.replace(one, **fields)


def keep(run: Path, one: Result) -> str:
    """Save a result as an evaluation does; returns the name of its folder."""
    folder = folder_for(run, one)
    save_result(one, [SCORE], folder)
    return folder.name


def test_results_of_other_data_lie_under_a_name_of_their_own(tmp_path: Path):
    own = other(result("val", "native"), own_data=True, data="/data/own")
    foreign = other(own, own_data=False, data="/data/my photos", data_fingerprint="0123456789", miou=0.5)
    assert keep(tmp_path, own) == "val-native"
    assert keep(tmp_path, foreign) == "val-native-my photos-01234567"
    assert keep(tmp_path, other(foreign, data="/else/my photos", data_fingerprint="f" * 10)) == (
        "val-native-my photos-ffffffff"
    )
    # The same question again, of newer weights.
    assert keep(tmp_path, other(own, weights_sha256="newer", miou=0.75)) == "val-native"
    found = find_result(tmp_path, "val", "native")
    assert found is not None
    assert found.miou == 0.75
    assert len(result_files(tmp_path)) == 3


def test_data_that_changed_in_its_folder_replaces_nothing(tmp_path: Path):
    own = other(result("val", "native"), own_data=True, data="/data/own")
    assert keep(tmp_path, own) == "val-native"
    assert keep(tmp_path, other(own, data_fingerprint="changed!!")) == "val-native-own-changed!"


def test_an_older_versions_result_of_unknown_data_does_not_stand_for_the_runs_own(tmp_path: Path):
    unknown = other(result("val", "native", 0.1), data_fingerprint="elsewhere")
    assert keep(tmp_path, unknown) == "val-native"
    own = other(result("val", "native", 0.9), own_data=True, data="/data/own")
    assert keep(tmp_path, own) == "val-native-own-f"
    found = find_result(tmp_path, "val", "native")
    assert found is not None
    assert found.miou == 0.9


def test_other_options_are_another_question(tmp_path: Path):
    usual = other(result("val", "native"), own_data=True)
    small = other(usual, variant="'evaluation.input_size=[32,32]'")
    names = {keep(tmp_path, one) for one in (usual, small, other(usual, variant="--group ^0"))}
    assert len(names) == 3
    assert "val-native" in names
    assert keep(tmp_path, small) in names


@pytest.mark.heavy
@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["val", "a:b", "a_b", "val-native"]),
            st.sampled_from(["native", "native-native", "b"]),
            st.sampled_from(["f", "g", "f" * 8 + "1", "f" * 8 + "2"]),
            st.sampled_from([True, False, None]),
            st.sampled_from(["", "/data/x", "/other/x", "c:\\x"]),
            st.sampled_from(["", "--group a"]),
        ),
        max_size=12,
    )
)
def test_no_result_is_lost_to_another_question(questions: list[tuple]):
    with tempfile.TemporaryDirectory() as folder:
        last: dict[tuple, int] = {}
        for number, (split, protocol, fingerprint, own, data, variant) in enumerate(questions):
            one = other(
                result(split, protocol), data_fingerprint=fingerprint, own_data=own, data=data, variant=variant,
                step=number,
            )  # fmt: skip
            keep(Path(folder), one)
            last[split, protocol, fingerprint, variant] = number
        found = [one.result for one in read_evaluations(Path(folder))]
        kept = {(one.split, one.protocol, one.data_fingerprint, one.variant, one.step) for one in found}
        assert {(*asked, number) for asked, number in last.items()} <= kept


def test_a_damaged_result_is_written_over(tmp_path: Path):
    one = other(result("val", "native"), own_data=True)
    keep(tmp_path, one)
    (folder_for(tmp_path, one) / "result.json").write_text("{")
    assert earlier_result(folder_for(tmp_path, one)) is None
    assert keep(tmp_path, one) == "val-native"
