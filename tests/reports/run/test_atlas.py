from __future__ import annotations

import json
import math

import msgspec
import pytest

from pixelwise.evaluation.thumbnails import WIDTH
from pixelwise.records.details import ClassPixels, ConfusedPixels, ImageDetails, load_thumbnails, thumbnail_name
from pixelwise.records.evaluations import SAMPLES
from pixelwise.reports.run.atlas import atlas_of, images_of_cells, suspects_of
from pixelwise.reports.run.pictures import load_pictures
from pixelwise.reports.run.records import Evaluated, read_run


@pytest.fixture(scope="module")
def evaluated(finished_run) -> Evaluated:
    return read_run(finished_run).evaluations[0]


def atlas(evaluated: Evaluated, **changes):
    assert evaluated.samples is not None
    pictures, _ = load_pictures(evaluated.folder / SAMPLES, evaluated.samples)
    thumbnails = load_thumbnails(evaluated.folder)
    return atlas_of(
        **{"evaluated": evaluated, "pictures": pictures, "thumbnails": thumbnails, "foreground": None} | changes
    )


def test_every_scored_image_has_a_card_the_lowest_first(evaluated):
    cards = atlas(evaluated).cards

    scores = {score.id: score.miou for score in evaluated.per_image}
    assert [card.id for card in cards] == sorted(scores, key=lambda id: scores[id])
    assert cards[0].miou == f"{100 * min(scores.values()):.1f}"
    assert {evaluated.per_image[card.place].id for card in cards} == set(scores)
    assert all(card.thumbnail.startswith("data:image/webp;base64,") for card in cards)


def test_a_card_names_the_worst_class_of_its_image(evaluated):
    details = tuple(
        ImageDetails(id=one.id, confusion=(ConfusedPixels(0, 0, 9), ConfusedPixels(2, 2, 3), ConfusedPixels(2, 0, 9)))
        for one in evaluated.details
    )

    card = atlas(msgspec.structs.replace(evaluated, details=details)).cards[0]

    assert (card.worst, card.worst_iou, card.order[2]) == ("pond", "25.0", 0.25)


def test_results_of_earlier_versions_have_cards_without_thumbnail_and_worst_class(evaluated):
    found = atlas(msgspec.structs.replace(evaluated, details=(), suspects=None), thumbnails={})

    assert len(found.cards) == 4
    assert {(card.worst, card.thumbnail) for card in found.cards} == {("", "")}
    assert json.loads(found.data)["cells"] == {}


def test_an_image_without_labels_comes_last(evaluated):
    first = msgspec.structs.replace(evaluated.per_image[0], miou=math.nan, pixel_accuracy=math.nan)

    cards = atlas(msgspec.structs.replace(evaluated, per_image=(first, *evaluated.per_image[1:]))).cards

    assert (cards[-1].id, cards[-1].miou, cards[-1].order[0]) == (first.id, "n/a", 2.0)


def test_thumbnails_beyond_the_budget_go_into_files_beside_the_page(evaluated, monkeypatch):
    monkeypatch.setattr("pixelwise.reports.run.atlas.THUMBNAIL_BYTES", 100)

    found = atlas(evaluated)

    assert found.files == load_thumbnails(evaluated.folder)
    assert {card.thumbnail for card in found.cards} == {f"report_files/{name}" for name in found.files}


def test_the_script_gets_classes_pictures_and_cells(evaluated):
    found = atlas(evaluated, foreground=1)

    data = json.loads(found.data)
    assert "<" not in found.data
    assert data["classes"] == ["grass", "path", "pond", "hut"]
    assert (data["official"][0], len(data["safe"]), data["foreground"]) == ("#008000", 4, 1)
    assert [(picture["width"], picture["height"]) for picture in data["pictures"]] == [(64, 48)] * 4
    assert all("flat" in picture and "photo" not in picture for picture in data["pictures"])
    wrong = sum(pixels for images in data["cells"].values() for _, pixels in images)
    assert wrong == sum(one.wrong for one in evaluated.details) > 0
    place = [score.id for score in evaluated.per_image].index("night/c")
    assert data["suspects"] == {str(place): [[0.25, 0.25, 0.25, 0.25]]}


def test_only_pictures_that_the_page_does_not_show_are_given_to_the_script(evaluated):
    samples = tuple(msgspec.structs.replace(one, kind="spread") for one in evaluated.samples.samples)
    spread = msgspec.structs.replace(evaluated, samples=msgspec.structs.replace(evaluated.samples, samples=samples))

    for picture in json.loads(atlas(spread).data)["pictures"]:
        assert picture["photo"].startswith("data:image/webp")
        assert picture["errors"].startswith("data:image/png")


def test_combinations_become_lists_of_classes(evaluated):
    samples = tuple(msgspec.structs.replace(one, combinations=(0, 0b101, 0b10, 1)) for one in evaluated.samples.samples)
    several = msgspec.structs.replace(evaluated, samples=msgspec.structs.replace(evaluated.samples, samples=samples))

    assert json.loads(atlas(several).data)["pictures"][0]["sets"] == [[], [0, 2], [1], [0]]


def test_the_images_of_a_cell_are_those_with_the_most_of_its_pixels(monkeypatch):
    monkeypatch.setattr("pixelwise.reports.run.atlas.IMAGES_OF_A_CELL", 2)
    details = [
        ImageDetails(id="a", confusion=(ConfusedPixels(0, 1, 5), ConfusedPixels(1, 1, 50))),
        ImageDetails(id="b", confusion=(ConfusedPixels(0, 1, 7), ConfusedPixels(1, 0, 2))),
        ImageDetails(id="c", confusion=(ConfusedPixels(0, 1, 6),)),
        ImageDetails(id="gone", confusion=(ConfusedPixels(0, 1, 99),)),
    ]

    assert images_of_cells(details, {"a": 0, "b": 1, "c": 2}) == {"0-1": [[1, 7], [2, 6]], "1-0": [[1, 2]]}


def test_multi_label_images_have_no_cells():
    assert images_of_cells([ImageDetails(id="a", binary=(ClassPixels(0, 1, 2, 3),))], {"a": 0}) == {}


def test_suspects_are_listed_with_all_names(evaluated, monkeypatch):
    (one,) = evaluated.suspects
    found = (
        msgspec.structs.replace(one, image="day/a", pixels=100),
        one,
        msgspec.structs.replace(one, labelled="hut", pixels=40, confidence=0.93),
        msgspec.structs.replace(one, image="gone"),
    )
    monkeypatch.setattr("pixelwise.reports.run.atlas.SHOWN_SUSPECTS", 1)

    suspects = suspects_of(msgspec.structs.replace(evaluated, suspects=found))

    assert suspects is not None
    ((place, image, *texts),) = suspects.rows
    assert (evaluated.per_image[place].id, image) == ("night/c", "night/c")
    assert texts == ["2", "grass, hut", "pond", "160", "96"]
    assert (suspects.regions, suspects.images) == ("3 regions", "2 images")
    assert (suspects.names, suspects.looked_at) == ("night/c\nday/a", "all 4 images")


def test_what_was_not_looked_for_is_not_listed(evaluated):
    assert suspects_of(msgspec.structs.replace(evaluated, suspects=None)) is None


def test_a_thumbnail_is_found_by_the_place_of_its_image(evaluated):
    assert list(load_thumbnails(evaluated.folder)) == [thumbnail_name(place) for place in range(4)]
    assert WIDTH == 160
