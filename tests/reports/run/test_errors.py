from __future__ import annotations

import msgspec
import pytest

from pixelwise.records.details import ConfusedPixels, ImageDetails, RegionCounts
from pixelwise.records.result import Result, load_result
from pixelwise.records.scores import BinaryCounts
from pixelwise.reports.run.errors import RegionCell, foreground_of, places_of_errors, regions_in_words


@pytest.fixture(scope="module")
def result(finished_run) -> Result:
    return load_result(finished_run / "evaluations" / "test-camvid-480x360")


@pytest.fixture
def binary(result) -> Result:
    entries = [
        msgspec.structs.replace(entry, name=name, pixels=pixels)
        for entry, name, pixels in zip(result.per_class, ("background", "cell"), (800, 200), strict=False)
    ]
    return msgspec.structs.replace(result, per_class=tuple(entries), confusion_matrix=((750, 50), (20, 180)))


ONCE = BinaryCounts(true_positives=1, false_positives=1, false_negatives=1, true_negatives=1)
BINARY = [
    ImageDetails(
        id="a",
        confusion=(
            ConfusedPixels(0, 0, 750),
            ConfusedPixels(0, 1, 50),
            ConfusedPixels(1, 0, 20),
            ConfusedPixels(1, 1, 180),
        ),
        near=100,
        near_wrong=63,
        regions=(
            RegionCounts(0, "large", 1, 1, 0),
            RegionCounts(1, "small", 3, 2, 1),
            RegionCounts(1, "large", 1, 1, 0),
        ),
    ),
    ImageDetails(id="b", regions=(RegionCounts(1, "small", 1, 1, 0),)),
]


def test_errors_at_borders_are_told_from_those_inside(binary):
    places = places_of_errors(binary, BINARY)

    assert places is not None
    assert places.sentences[0].startswith(
        "90.0 % of the wrong pixels are within 5 px of a border between two classes, "
    )
    assert "where 10.0 % of all labelled pixels are" in places.sentences[0]
    assert "The other 7 wrong pixels are inside regions." in places.sentences[0]


def test_of_two_classes_missed_and_invented_are_counted(binary):
    places = places_of_errors(binary, BINARY)

    assert places is not None
    assert places.sentences[1:] == [
        "Missed: 10.0 % of the pixels labelled cell (20 px).",
        "False alarm: 21.7 % of the pixels predicted as cell (50 px).",
    ]


def test_regions_are_counted_by_the_sizes_that_occur(binary):
    places = places_of_errors(binary, BINARY)

    assert places is not None
    assert places.sizes == ["below 32 x 32 px", "larger"]
    ((name, cells),) = places.rows
    assert name == "cell"
    assert cells == [RegionCell("3 of 4", "75", "1"), RegionCell("1 of 1", "100", "")]
    assert regions_in_words(binary, BINARY).startswith("Of 5 connected regions labelled cell, 4 were found")


def test_more_classes_have_a_row_each_and_no_sentence_about_one(result):
    places = places_of_errors(result, BINARY)

    assert places is not None
    assert [row.name for row in places.rows] == ["grass", "path"]
    assert len(places.sentences) == 1
    assert regions_in_words(result, BINARY) == ""


def test_without_errors_there_is_nothing_to_place(result):
    right = ImageDetails(id="a", confusion=(ConfusedPixels(0, 0, 5),))

    places = places_of_errors(result, [right])

    assert places is not None
    assert places.sentences == ["No pixel is wrong."]


def test_earlier_results_and_multi_label_data_say_nothing(result):
    several = msgspec.structs.replace(result, binary_counts=(ONCE,))

    assert places_of_errors(result, []) is None
    assert places_of_errors(several, BINARY) is None


def test_the_class_in_question_is_the_one_that_is_not_called_background(binary):
    first, second = binary.per_class
    renamed = (
        msgspec.structs.replace(first, name="Cell", pixels=999),
        msgspec.structs.replace(second, name="Background"),
    )

    assert foreground_of(binary) == 1
    assert foreground_of(msgspec.structs.replace(binary, per_class=renamed)) == 0


@pytest.mark.parametrize(("pixels", "expected"), [((9, 1), 1), ((1, 9), 0), ((5, 5), 1)])
def test_without_such_a_name_it_is_the_rarer_one(binary, pixels, expected):
    entries = [
        msgspec.structs.replace(entry, name=name, pixels=number)
        for entry, name, number in zip(binary.per_class, ("land", "water"), pixels, strict=True)
    ]

    assert foreground_of(msgspec.structs.replace(binary, per_class=tuple(entries))) == expected


def test_more_than_two_classes_have_none_in_question(result):
    assert foreground_of(result) is None
