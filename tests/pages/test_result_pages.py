from pathlib import Path

import msgspec
import pytest
from runs_to_show import CLASSES, COUNTS, PALETTE, SIZE, shown_run

from pixelwise.pages.catalog import Catalog
from pixelwise.pages.evaluated import Gallery, Opened, open_entry
from pixelwise.pages.images import MOST_CARDS, Filter
from pixelwise.pages.networks.work import Networks
from pixelwise.pages.result_pages import (
    cell_values,
    colors_of,
    curves,
    image_values,
    images_values,
    kinds_values,
    palette_of,
    result_values,
    sections_values,
)


@pytest.fixture
def shown(tmp_path: Path) -> tuple[Opened, Gallery]:
    catalog = Catalog([shown_run(tmp_path / "a")])
    return open_entry(catalog.entries()[0]), Gallery(catalog, Networks(catalog).shown)


def without_pictures(opened: Opened) -> Opened:
    assert opened.evaluated is not None
    return opened._replace(evaluated=msgspec.structs.replace(opened.evaluated, samples=None))


def test_only_cells_with_wrong_pixels_lead_somewhere(shown: tuple[Opened, Gallery]):
    values = result_values(shown[0], [])
    assert [[bool(leads) for _, leads in row] for row in values["matrix"]] == [[False, True], [False, False]]


def test_the_result_of_an_artefact_has_no_recipe_and_no_curves(shown: tuple[Opened, Gallery]):
    values = result_values(shown[0], [])
    assert (values["recipe"], values["procedures"], values["trained"]) == (None, [], False)
    assert curves(shown[0]) == []


def test_colours_are_those_of_the_pictures_or_safe_ones(shown: tuple[Opened, Gallery]):
    opened = shown[0]
    assert palette_of(opened) == PALETTE
    assert colors_of(opened) == {CLASSES[0]: "#0a781e", CLASSES[1]: "#c8b45a"}
    assert len(set(palette_of(without_pictures(opened))) - set(PALETTE)) == 2


def test_shares_are_of_the_true_class(shown: tuple[Opened, Gallery]):
    values = cell_values(*shown, 0, 1)
    wrong, labelled = sum(COUNTS.values()), 2 * SIZE[0] * SIZE[1]
    assert (values["pixels"], values["share"]) == (str(wrong), f"{100 * wrong / labelled:.2f}")
    assert values["back"] == ""
    assert {place: one["pixels"] for place, one in values["sections"].items()} == {1: ["400"], 0: ["100"]}
    assert not cell_values(without_pictures(shown[0]), shown[1], 0, 1)["sections"]  # those would be predicted
    assert cell_values(*shown, 1, 0)["share"] == "0"  # no pixel is labelled as class 1


def test_kinds_add_up(shown: tuple[Opened, Gallery]):
    values = kinds_values(*shown)
    assert [kind["share"] for kind in values["kinds"]] == ["0", "0", "100.0", "0"]
    assert (values["counted"], values["scored"]) == (2, 2)


def test_an_image_has_neighbours_by_score(shown: tuple[Opened, Gallery]):
    opened, gallery = shown
    worse, better = image_values(opened, gallery, 1), image_values(opened, gallery, 0)
    assert (worse["before"], worse["after"], worse["rank"]) == (None, 0, 1)
    assert (better["before"], better["after"], better["rank"]) == (1, None, 2)
    assert [name for name, _, _ in better["legend"]] == list(CLASSES)
    with pytest.raises(IndexError):
        image_values(opened, gallery, 2)


def test_what_is_not_kept_says_why(shown: tuple[Opened, Gallery]):
    opened, gallery = shown
    for file in (opened.entry.run / "evaluations" / "val-native" / "samples").iterdir():
        file.unlink()
    assert "for runs only" in image_values(opened, gallery, 0)["reason"]
    assert "for runs only" in sections_values(opened, gallery, "0-1", 0)["reason"]


def test_long_lists_have_pages(shown: tuple[Opened, Gallery]):
    opened = shown[0]
    assert opened.evaluated is not None
    score = opened.evaluated.per_image[0]
    many = tuple(msgspec.structs.replace(score, id=f"{number:03d}") for number in range(2 * MOST_CARDS + 1))
    opened = opened._replace(evaluated=msgspec.structs.replace(opened.evaluated, per_image=many))
    pages = [images_values(opened, Filter(first=first)) for first in (0, MOST_CARDS, 2 * MOST_CARDS, 10**6)]
    assert [len(page["cards"]) for page in pages] == [MOST_CARDS, MOST_CARDS, 1, 1]
    assert [(page["before"], page["after"]) for page in pages[:3]] == [
        (None, MOST_CARDS), (0, 2 * MOST_CARDS), (MOST_CARDS, None)
    ]  # fmt: skip
