from pathlib import Path

import msgspec
import pytest
from data_to_show import shown_data, survey_of
from results import class_result, miniature

from pixelwise.pages.catalog import Catalog
from pixelwise.pages.labels.columns import Columns
from pixelwise.pages.labels.mistakes import doubts_of
from pixelwise.pages.labels.survey import opened_data
from pixelwise.records.result import save_result
from pixelwise.records.suspects import Suspect, save_suspects

SMALL = Suspect(
    image="c", labelled="road", predicted="car", pixels=10, confidence=0.9, x=1, y=2, width=5, height=2,
    image_width=64, image_height=48,
)  # fmt: skip
LARGE = msgspec.structs.replace(SMALL, image="copy", pixels=20)
GONE = msgspec.structs.replace(SMALL, image="gone", pixels=99)


def scored(folder: Path, data: Path, miou: float) -> None:
    evaluation = folder / "evaluations" / "val-native"
    classes = (class_result("a", 0.5), class_result("b", 0.5))
    save_result(miniature(miou=miou, per_class=classes, data=str(data)), (), evaluation)
    save_suspects([SMALL, LARGE, GONE], evaluation)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return shown_data(tmp_path / "photos")


def test_regions_are_ranked_by_size_and_certainty(data: Path, tmp_path: Path):
    scored(tmp_path / "runs" / "worse", data, 0.4)
    scored(tmp_path / "runs" / "better", data, 0.6)
    scored(tmp_path / "runs" / "elsewhere", tmp_path / "other", 0.9)
    columns = Columns(opened_data(data))
    found = doubts_of(survey_of(data), columns, Catalog([tmp_path / "runs"]))
    assert [one.entry.name for one in found] == ["runs/better", "runs/worse"]
    regions = [(columns.place(row)[1].id, one.pixels) for row, one in found[0].regions]
    assert regions == [("copy", 20), ("c", 10)]  # an image that is gone is left out
    assert not found[0].trained_on  # an artefact does not say


def test_a_damaged_list_is_left_to_its_own_page(data: Path, tmp_path: Path):
    scored(tmp_path / "runs" / "a", data, 0.4)
    (tmp_path / "runs" / "a" / "evaluations" / "val-native" / "suspects.csv").write_text("nonsense\n1\n")
    assert doubts_of(survey_of(data), Columns(opened_data(data)), Catalog([tmp_path / "runs"])) == []


@pytest.mark.parametrize("split", ["all", "held-out"])
def test_images_of_joined_splits_are_found_in_their_own(split: str, data: Path, tmp_path: Path):
    columns = Columns(opened_data(data))
    ids = [sample.id for sample in opened_data(data).with_all().splits["all"]]
    evaluation = tmp_path / "runs" / "fold-0" / "evaluations" / f"{split}-native"
    classes = (class_result("a", 0.5), class_result("b", 0.5))
    save_result(miniature(per_class=classes, data=str(data), split=split), (), evaluation)
    save_suspects([msgspec.structs.replace(SMALL, image=id) for id in (*ids, "gone")], evaluation)
    (found,) = doubts_of(survey_of(data), columns, Catalog([tmp_path / "runs"]))
    assert len(found.regions) == len(ids)
    for row, region in found.regions:
        place, sample = columns.place(row)
        assert region.image in (sample.id, f"{place}/{sample.id}")
