from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from pixelwise.datasets.labels import LabelTable, table_of
from pixelwise.errors import RecipeError
from pixelwise.prediction.original_values import original_values

CLASSES = ("background", "crack")


def test_black_and_white_masks_are_black_and_white_again():
    found = original_values(table_of({0: 0, 255: 1}), CLASSES)
    assert (found.values, found.ignored, found.merged) == ((0, 255), 255, {})
    assert found.coded(np.array([[0, 1, 1]], np.uint8)).tolist() == [[0, 255, 255]]


def test_thresholded_masks_are_black_and_white_again():
    table = msgspec.structs.replace(table_of({0: 0, 1: 1}), threshold=128)
    assert original_values(table, CLASSES).values == (0, 255)


def test_ids_of_16_bits():
    found = original_values(table_of({26000: 0, 3: 1, 0: 255}), CLASSES)
    assert (found.values, found.ignored) == ((26000, 3), 0)
    assert found.coded(np.array([[0, 1, 255]], np.uint8)).tolist() == [[26000, 3, 0]]


def test_colours_are_written_as_rgb():
    found = original_values(table_of({}, {"#804080": 0, "#00c8ff": 1, "#010203": 255}), CLASSES)
    assert found.values == ("#804080", "#00c8ff")
    assert found.coded(np.array([[0, 1, 255]], np.uint8)).tolist() == [[[128, 64, 128], [0, 200, 255], [1, 2, 3]]]


def test_what_was_merged_is_said():
    found = original_values(table_of({0: 0, 5: 1, 6: 1, -1: 1, 9: 255}), CLASSES)
    assert found.values == (0, 5)
    assert found.sentence(CLASSES) == (
        "values of the training data's masks were merged: 5, 6, -1 are all crack, written as 5"
    )
    assert original_values(table_of({0: 0, 1: 1}), CLASSES).sentence(CLASSES) == ""


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (None, "drawn from annotations"),
        (LabelTable(), "drawn from annotations"),
        (msgspec.structs.replace(table_of({0: 0, 1: 1}), from_alpha=True), "transparency"),
        (table_of({0: 0}), "no value for crack"),
        (table_of({0: 0, 70000: 1}), "beyond 16 bits"),
        (table_of({0: 0, -3: 1}), "beyond 16 bits"),
    ],
)
def test_what_has_no_values_is_refused(table: LabelTable | None, reason: str):
    with pytest.raises(RecipeError, match=reason) as caught:
        original_values(table, CLASSES)
    assert caught.value.code == "R222"


@pytest.mark.heavy
@given(some.dictionaries(some.integers(0, 65535), some.integers(0, 3) | some.just(255), min_size=4), some.data())
def test_masks_read_back_are_the_class_ids(ids: dict[int, int], data: some.DataObject):
    table = table_of({**ids, 65001: 0, 65002: 1, 65003: 2, 65004: 3})
    labels = np.array([data.draw(some.lists(some.sampled_from([0, 1, 2, 3, 255]), min_size=1))], np.uint8)
    written = original_values(table, ("a", "b", "c", "d")).coded(labels).astype(np.int64)
    back, unknown = table.map_ids(written)
    assert unknown == {}
    assert np.array_equal(back, labels)
