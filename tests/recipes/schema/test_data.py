from __future__ import annotations

from typing import Any

import pytest
from refusals import refused, refuses

from pixelwise.recipes.class_sets.tables import CAMVID, CLASS_SETS, MOST_LABELS
from pixelwise.recipes.schema.data import Data

RED, GREEN = (255, 0, 0), (0, 255, 0)

# Field: what is accepted, up to the ends; what is refused, just beyond them.
LIMITS: dict[str, tuple[list[Any], list[Any]]] = {
    "mask_threshold": ([None, 1, 255], [0, 256, -1]),
    "mask_channel": ([None, "alpha"], []),
    "instance_divisor": ([None, 2, 1000], [1, 0, -1000]),
    "channels": ([None, (0,), (3, 2, 1, 7)], [(), (-1,), (0, -2)]),
    "max_pixels": ([1, 10**9], [0, -1]),
    "workers": ([None, 0, 8], [-1]),
    "input_range": ([None, (0, 65535), (-0.5, -0.25)], [(5, 5), (6, 5)]),
    "town_images": ([(1, 1, 1)], [(0, 1, 1), (1, 0, 1), (1, 1, 0)]),
    "town_size": ([(1, 1), (144, 192)], [(0, 1), (1, 0)]),
    "town_seed": ([0, 7], [-1]),
}


@pytest.mark.parametrize("field", LIMITS)
def test_values_are_accepted_up_to_the_ends_of_their_range(field: str):
    good, bad = LIMITS[field]
    for value in good:
        assert getattr(Data(**{field: value}), field) == value
    for value in bad:
        refuses(Data, field, value, name=f"data.{field}")


def test_a_label_map_maps_numbers_of_64_bits_to_class_ids():
    for mapping in ({}, {"0": 0}, {"-9999": 255, "+3": 254}, {str(-(2**63)): 0, str(2**64 - 1): 1}):
        assert Data(label_map=mapping).label_map == mapping
    for raw, class_id in [
        ("one", 0),
        ("1.0", 0),
        ("--1", 0),
        ("²", 0),
        ("", 0),
        (str(2**64), 0),
        ("0", 256),
        ("0", -1),
    ]:
        error = refused(Data, label_map={raw: class_id})
        assert error.code == "R203"
        assert f"maps '{raw}' to {class_id}" in error.message


def test_there_are_as_many_colours_as_classes():
    assert Data(classes=("a", "b"), palette=(RED, GREEN)).palette == (RED, GREEN)
    for classes, palette in ((("a",), (RED, GREEN)), (("a", "b", "c"), (RED, GREEN)), ((), (RED,))):
        error = refused(Data, classes=classes, palette=palette)
        assert error.code == "R203"
        assert "data.palette" in error.message
        assert f"{len(palette)} colours" in error.message
        assert f"{len(classes)} classes" in error.message


def test_colours_without_classes_and_classes_without_colours_wait_for_the_other():
    assert Data(palette=(RED, GREEN)).classes is None
    assert Data(classes=("a", "b", "c")).palette is None


@pytest.mark.parametrize("classes", [None, ("a", "b", "c")])
def test_labels_by_name_are_classes_or_ignored(classes: tuple[str, ...] | None):
    last = 2 if classes else 254
    labels = {"first": 0, "last": last, "nothing": 255}
    assert Data(classes=classes, labels=labels).labels == labels
    for wrong in (-1, 3 if classes else 256):
        error = refused(Data, classes=classes, labels={"first": 0, "odd one": wrong})
        assert error.code == "R203"
        assert f"data.labels maps 'odd one' to {wrong}" in error.message
        assert "first" not in error.message


@pytest.mark.parametrize(
    ("field", "value"),
    [("label_map", {"0": 0}), ("colors", {"#000000": 0}), ("labels", {"crack": 0}), ("instance_divisor", 1000)],
)
def test_a_mask_per_class_needs_no_table_of_values(field: str, value: Any):
    assert getattr(Data(**{field: value}), field) == value
    error = refused(Data, multilabel=True, **{field: value})
    assert error.code == "R203"
    assert f"data.{field}" in error.message
    assert "data.multilabel" in error.message
    assert field in error.help


def test_a_bit_field_has_room_for_so_many_classes():
    most = tuple(f"class_{number}" for number in range(MOST_LABELS))
    more = (*most, "one too many")
    assert len(Data(multilabel=True, classes=most).classes or ()) == MOST_LABELS
    assert Data(classes=more).classes == more
    error = refused(Data, multilabel=True, classes=more)
    assert error.code == "R203"
    assert f"data.classes names {MOST_LABELS + 1} " in error.message
    assert str(MOST_LABELS) in error.message


@pytest.mark.parametrize(("channels", "bands"), [(None, 3), ((0,), 1), ((0, 1, 2), 3), ((3, 2, 1, 7), 4), ((5, 5), 2)])
def test_bands_are_the_channels_that_the_network_gets(channels: tuple[int, ...] | None, bands: int):
    assert Data(channels=channels).bands == bands


def test_class_names_are_the_recipes_own_or_those_of_a_known_data_set():
    assert Data(dataset="camvid").class_names() == CAMVID.names
    assert Data(dataset="camvid", classes=("a", "b")).class_names() == ("a", "b")
    assert Data(dataset="folder", classes=("a", "b")).class_names() == ("a", "b")
    assert Data(dataset="folder").class_names() is None
    assert Data().class_names() is None


@pytest.mark.parametrize("name", CLASS_SETS)
def test_known_data_sets_name_their_classes(name: str):
    names = Data(dataset=name).class_names()
    assert names is not None
    assert len(names) == len(CLASS_SETS[name].palette)
