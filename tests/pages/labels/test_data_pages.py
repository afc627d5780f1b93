import pytest
from data_to_show import ROAD, examined, shown_data, survey_of

from pixelwise.pages.labels import data_pages
from pixelwise.pages.labels.data_pages import (
    card_of,
    duplicates_values,
    grid_values,
    image_values,
    mistakes_values,
    stamp_of,
)
from pixelwise.pages.labels.filters import Filter
from pixelwise.pages.labels.survey import Opened, Survey


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Survey, Opened]:
    survey = survey_of(shown_data(tmp_path_factory.mktemp("data")))
    return survey, examined(survey)


def test_the_side_column_counts_and_leads(shown: tuple[Survey, Opened]):
    facets = {title: items for title, items, _ in grid_values(*shown, Filter(split="val"))["facets"]}
    assert [(item.label, item.images) for item in facets["Findings"]] == [("D133", "1")]
    assert "identical content" in facets["Findings"][0].note
    assert [(item.label, item.images, item.part) for item in facets["Classes"]] == [
        ("<b>sky</b>", "2", 100),  # 43 and 38 rows
        ("road", "2", 19),  # 5 and 10 rows of 81
        ("car", "1", 1),  # 16 pixels: a bar that can be seen
    ]
    assert facets["Splits"][1].chosen
    assert facets["Splits"][1].href == f"/data/{shown[0].id}"
    assert facets["Classes"][2].href == f"/data/{shown[0].id}?class=2&split=val"


def test_findings_that_no_image_has_are_about_the_data_set(shown: tuple[Survey, Opened]):
    values = grid_values(*shown, Filter())
    assert [one.code for one in values["overall"]] == ["W210"]
    assert [card.codes for card in values["cards"]] == [["D133"], [], ["D202"], [], [], ["D133"]]


def test_a_filter_that_leaves_nothing_can_be_taken_back(shown: tuple[Survey, Opened]):
    values = grid_values(*shown, Filter(code="D999", size="1x1", first=600))
    assert (values["number"], values["shown"], values["cards"]) == ("0", None, [])
    chosen = [item.label for _, items, _ in values["facets"] for item in items if item.chosen]
    assert chosen == ["D999", "1x1"]
    assert values["reset"] == f"/data/{shown[0].id}"


def test_long_lists_have_pages(shown: tuple[Survey, Opened], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(data_pages, "MOST_CARDS", 4)
    first, last = (grid_values(*shown, Filter(first=number)) for number in (0, 5))
    assert (first["before"], first["shown"], last["shown"], last["after"]) == (None, (1, 4), (5, 6), None)
    assert first["after"] == f"/data/{shown[0].id}?first=4"
    assert last["before"] == f"/data/{shown[0].id}"


def test_an_image_has_neighbours_within_the_filter(shown: tuple[Survey, Opened]):
    rows = {name: row for row, name in enumerate(sorted(ROAD))}
    middle = image_values(*shown, Filter(split="train"), rows["train/b"])
    assert (middle["before"], middle["after"], middle["rank"], middle["number"]) == (0, 2, "2", "4")
    outside = image_values(*shown, Filter(split="train"), rows["val/c"])
    assert (outside["before"], outside["after"], outside["rank"]) == (None, None, None)
    assert [(name, share) for _, name, _, share in middle["shares"]] == [("<b>sky</b>", "58.3"), ("road", "41.7")]
    copy = image_values(*shown, Filter(), rows["val/copy"])
    assert [(title, card.id) for title, _, card in copy["twins"]] == [("identical files", "a")]
    with pytest.raises(IndexError):
        image_values(*shown, Filter(), 6)


def test_pairs_are_of_a_kind_that_has_some(shown: tuple[Survey, Opened]):
    values = duplicates_values(*shown, Filter(), "")
    assert values["kind"] == "same"
    assert [(first.id, second.id) for _, first, second in values["pairs"]] == [("a", "copy")]
    assert duplicates_values(*shown, Filter(), "within")["pairs"] == []


def test_without_results_nothing_is_in_doubt(shown: tuple[Survey, Opened]):
    values = mistakes_values(*shown, Filter(), [], "x")
    assert (values["here"], values["shown"]) == (None, [])


def test_a_stamp_changes_with_the_files(shown: tuple[Survey, Opened]):
    _, sample = shown[1].columns.place(0)
    before = stamp_of(sample)
    assert card_of(shown[1], 0).stamp == before
    content = sample.image_path.read_bytes()
    sample.image_path.write_bytes(content + b" ")
    assert stamp_of(sample) != before
    sample.image_path.write_bytes(content)
