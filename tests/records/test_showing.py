import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from results import miniature

from pixelwise.errors import RecipeError
from pixelwise.records.log import EvaluationRecord, Log, StepRecord, WarningRecord
from pixelwise.records.result import Result, load_per_image, load_result, save_result
from pixelwise.records.scores import ImageScore

IMAGES = (
    ImageScore(id="a", miou=0.75, pixel_accuracy=0.9, labelled_pixels=10, iou=(0.5, 1.0, None)),
    ImageScore(id="=b", miou=math.nan, pixel_accuracy=math.nan, labelled_pixels=0, iou=(None, None, None)),
)
LOG = Log(
    (
        StepRecord(step=1, epoch=1, loss=2.0, lr=0.1),
        WarningRecord(step=1, code="W500", message="x"),
        StepRecord(step=2, epoch=1, loss=1.0, lr=0.1, grad_norm=3.0),
        EvaluationRecord(step=2, split="val", protocol="native", miou=0.5, per_class_iou=(0.25, None)),
        EvaluationRecord(step=3, split="val", protocol="native", miou=None),
    ),
    ("grass", "path"),
)


class Frame(dict):
    """Stands for a pandas frame: its columns, and the name of those of its rows."""

    index = None

    def set_index(self, name: str) -> "Frame":
        self.index = name
        return self


@pytest.fixture
def _pandas(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=Frame))


@pytest.fixture
def result() -> Result:
    return miniature(per_image=IMAGES)


def test_a_result_is_one_line(result: Result):
    assert repr(result) == "<Result mIoU 75.00 %, pixel accuracy 90.00 %; val, native; 2 images, 3 classes>"


def test_a_result_is_a_table_in_a_notebook_whatever_its_classes_are_called(result: Result):
    entry = msgspec.structs.replace(result.per_class[0], name="<script>")
    page = msgspec.structs.replace(result, per_class=(entry, *result.per_class[1:]))._repr_html_()
    assert "mIoU 75.00 % [50.00, 90.00]" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert page.count("<tr>") == 4
    assert "n/a" in page


@pytest.mark.usefixtures("_pandas")
def test_a_frame_has_a_row_per_class(result: Result):
    found: Any = result.to_pandas()
    assert found.index == "class"
    assert found["class"] == ["grass", "path", "hut"]
    assert found["iou"][:2] == [0.875, 0.625]
    assert math.isnan(found["iou"][2])


@pytest.mark.usefixtures("_pandas")
def test_a_frame_has_a_row_per_image(result: Result):
    found: Any = result.to_pandas("image")
    assert (found.index, found["id"], found["labelled_pixels"]) == ("id", ["a", "=b"], [10, 0])
    assert found["iou grass"][0] == 0.5
    assert found["iou path"][0] == 1.0
    assert math.isnan(found["iou hut"][0])
    assert math.isnan(found["iou grass"][1])


@pytest.mark.usefixtures("_pandas")
def test_a_frame_has_a_row_per_labelled_class(result: Result):
    found: Any = result.to_pandas("confusion")
    assert found == {"labelled": ["grass", "path", "hut"], "grass": [7, 1, 0], "path": [0, 6, 0], "hut": [0, 0, 0]}
    with pytest.raises(RecipeError, match="'pixel'"):
        result.to_pandas("pixel")  # type: ignore[arg-type]


def test_without_pandas_the_extra_is_named(result: Result, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    for call in (result.to_pandas, LOG.to_pandas):
        with pytest.raises(RecipeError) as caught:
            call()
        assert caught.value.code == "R240"
        assert "pixelwise[pandas]" in caught.value.help


def test_without_polars_the_extra_is_named(result: Result, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    for call in (result.to_polars, LOG.to_polars):
        with pytest.raises(RecipeError) as caught:
            call()
        assert caught.value.code == "R240"
        assert "pixelwise[polars]" in caught.value.help


def test_polars_gets_the_columns_that_pandas_gets(result: Result, monkeypatch: pytest.MonkeyPatch):
    given: list[Any] = []
    stand_in = SimpleNamespace(DataFrame=lambda columns, **options: given.append((columns, options)))
    monkeypatch.setitem(sys.modules, "polars", stand_in)
    result.to_polars()
    LOG.to_polars()
    (classes, options), (steps, _) = given
    assert classes["class"] == ["grass", "path", "hut"]
    assert classes["iou"][:2] == [0.875, 0.625]
    assert options == {"infer_schema_length": None}  # else a column that begins with None has no type
    assert steps["step"] == [1, 2, 3]
    assert steps["split"] == [None, "val", "val"]


def test_scores_of_classes_in_images_survive_the_disk(result: Result, tmp_path: Path):
    save_result(result, IMAGES, tmp_path)
    assert (tmp_path / "per_image_iou.csv").read_text() == "id,grass,path,hut\na,0.5,1.0,\n'=b,,,\n"
    again = load_per_image(tmp_path)
    assert [(one.id, one.iou) for one in again] == [(one.id, one.iou) for one in IMAGES]
    assert "per_image" not in (tmp_path / "result.json").read_text()
    assert load_result(tmp_path).per_image == ()


def test_scores_of_images_of_earlier_versions_have_no_classes(result: Result, tmp_path: Path):
    save_result(result, IMAGES, tmp_path)
    (tmp_path / "per_image_iou.csv").unlink()
    assert [one.iou for one in load_per_image(tmp_path)] == [(), ()]


def test_a_log_is_one_line_and_its_records():
    assert repr(LOG) == "<Log 3 steps; 2 evaluations, best mIoU 50.00 %>"
    assert repr(Log()) == "<Log 0 steps>"
    assert len(LOG) == len(list(LOG)) == 5


@pytest.mark.usefixtures("_pandas")
def test_a_frame_of_a_log_has_a_row_per_step():
    found: Any = LOG.to_pandas()
    assert found["step"] == [1, 2, 3]
    assert found["loss"][:2] == [2.0, 1.0]
    assert found["split"] == [None, "val", "val"]
    assert found["miou"][1] == 0.5
    assert [math.isnan(value) for value in found["miou"]] == [True, False, True]
    assert found["iou grass"][1] == 0.25
    assert math.isnan(found["iou path"][1])
