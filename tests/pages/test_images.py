import math
from pathlib import Path

import pytest
from results import miniature

from pixelwise.pages.catalog import Entry
from pixelwise.pages.evaluated import Opened
from pixelwise.pages.images import Card, Filter, cards_of, filter_of
from pixelwise.records.scores import ImageScore
from pixelwise.reports.run.records import Evaluated


def opened() -> Opened:
    scores = [
        ImageScore(id="Night-1", miou=0.5, pixel_accuracy=1, labelled_pixels=1, iou=(0.25, None, None)),
        ImageScore(id="day-2", miou=0.25, pixel_accuracy=1, labelled_pixels=1, iou=(0.75, 0.5, None)),
        ImageScore(id="day-1", miou=math.nan, pixel_accuracy=1, labelled_pixels=0, iou=(None, None, None)),
    ]
    result = Evaluated(folder=Path(), result=miniature(), per_image=tuple(scores), samples=None)
    return Opened(Entry("x", "runs/x", Path(), Path()), None, result)


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Filter(), ["day-2", "Night-1", "day-1"]),
        (Filter(order="best"), ["Night-1", "day-2", "day-1"]),
        (Filter(order="name"), ["Night-1", "day-1", "day-2"]),
        (Filter(of=0), ["Night-1", "day-2"]),
        (Filter(of=1), ["day-2"]),
        (Filter(of=2), []),
        (Filter(text="NIGHT"), ["Night-1"]),
        (Filter(text="nowhere"), []),
    ],
)
def test_orders_and_filters(wanted: Filter, ids: list[str]):
    assert [card.id for card in cards_of(opened(), wanted)] == ids


def test_a_card_has_the_score_that_it_is_sorted_by():
    assert cards_of(opened(), Filter(of=0))[0] == Card(0, "Night-1", "25.0")
    assert cards_of(opened(), Filter())[2] == Card(2, "day-1", "n/a")


def test_addresses():
    assert filter_of({}, 3) == Filter()
    assert filter_of({"order": "best", "text": "a", "class": "2", "first": "60"}, 3) == Filter("best", "a", 2, 60)
    strange = {"order": "x", "class": "3", "first": "-1"}
    assert filter_of(strange, 3) == Filter()
    for of in ("-1", "x", "", "\u00b2", "0000000", "9" * 9999):
        assert filter_of({"class": of, "first": of}, 3).of is None
