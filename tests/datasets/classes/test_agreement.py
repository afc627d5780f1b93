from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.datasets.classes.agreement import are_numbers, for_network, normal_name, order_of
from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.errors import CheckpointError

WORDS = ("road", "car", "sky", "tree", "kerb", "wall", "bus")


def dataset(classes, *, named: bool = True, multilabel: bool = False, masks=()) -> Dataset:
    return Dataset(
        name="folder",
        root=Path("photos"),
        classes=tuple(classes),
        palette=tuple((index, 0, 0) for index in range(len(classes))),
        label_table=LabelTable(ids={**{10 + index: index for index in range(len(classes))}, 99: 255}),
        splits={"val": (Sample("a", Path("a.png"), Path("m.png"), tuple(masks)),)},
        reading=Reading(),
        named=named,
        multilabel=multilabel,
    )


def codes(found: Dataset) -> list[str]:
    return [remark.code for remark in found.remarks]


@given(st.permutations(WORDS), st.permutations(WORDS))
def test_a_raw_value_keeps_its_name_in_any_order(theirs: list[str], ours: list[str]):
    before = dataset(theirs)
    after = for_network(before, ours)

    assert after.classes == tuple(ours)
    for raw, class_id in before.label_table.ids.items():
        wanted = 255 if class_id == 255 else ours.index(theirs[class_id])
        assert after.label_table.ids[raw] == wanted
    assert codes(after) == ([] if theirs == ours else ["W410"])
    # The colour follows the name.
    assert [after.palette[ours.index(name)] for name in theirs] == list(before.palette)


@given(st.permutations(WORDS), st.sampled_from([str.upper, str.title, lambda name: f" {name} ".replace("a", "a")]))
def test_spelling_does_not_matter(ours: list[str], spell):
    found = for_network(dataset([spell(name) for name in ours]), ours)
    assert (found.classes, codes(found)) == (tuple(ours), [])


def test_separators_and_wide_letters_are_the_same():
    assert {normal_name(name) for name in ("Traffic Light", "traffic_light", "TRAFFIC--light", "ｔraffic light")} == {
        "traffic_light"
    }
    assert normal_name("tram") != normal_name("train")


def test_names_that_differ_in_case_alone_are_told_apart_by_their_spelling():
    assert order_of(("road", "Road"), ("Road", "road")) == (1, 0)
    assert order_of(("ROAD", "Road"), ("Road", "road")) is None


@given(st.sets(st.sampled_from(WORDS), min_size=1), st.sets(st.sampled_from(WORDS), min_size=1))
def test_other_sets_of_names_are_refused_with_both_lists(theirs: set[str], ours: set[str]):
    if theirs == ours:
        return
    with pytest.raises(CheckpointError) as caught:
        for_network(dataset(sorted(theirs)), sorted(ours))
    assert caught.value.code == "K406"
    for name in theirs | ours:
        assert name in caught.value.message
    for name in theirs - ours:
        assert name in caught.value.message.partition("only the data has")[2]
    assert "data.label_map" in caught.value.help


@pytest.mark.parametrize(
    ("theirs", "ours", "named", "kept"),
    [
        (("class_0", "class_1"), ("road", "car"), True, ("road", "car")),
        (("#000000", "#804080"), ("road", "car"), True, ("road", "car")),
        (("background", "object"), ("road", "car"), False, ("road", "car")),
        (("road", "car"), ("class_0", "class_1"), True, ("road", "car")),
        (("7", "8"), ("class_0", "class_1"), True, ("class_0", "class_1")),
    ],
)
def test_without_names_the_ids_decide_and_that_is_said(theirs, ours, named: bool, kept):
    found = for_network(dataset(theirs, named=named), ours)
    assert (found.classes, codes(found)) == (kept, ["W411"])
    assert found.label_table.ids == {10: 0, 11: 1, 99: 255}
    assert "0 = " + kept[0] in found.remarks[0].message


def test_another_number_of_nameless_classes_is_refused():
    with pytest.raises(CheckpointError, match=r"2 classes \(road, car\).*has 3 \(class_0"):
        for_network(dataset(("class_0", "class_1", "class_2")), ("road", "car"))


def test_masks_per_class_are_put_in_the_networks_order():
    masks = [Path("crack.png"), Path("rust.png")]
    found = for_network(dataset(("crack", "rust"), multilabel=True, masks=masks), ("Rust", "moss", "crack"))
    assert found.splits["val"][0].class_masks == (masks[1], None, masks[0])
    assert codes(found) == ["W412"]
    assert "moss" in found.remarks[0].message
    with pytest.raises(CheckpointError, match="only the data has: crack"):
        for_network(dataset(("crack", "rust"), multilabel=True, masks=masks), ("rust", "moss"))


def test_the_same_classes_change_nothing():
    before = dataset(WORDS)
    assert for_network(before, WORDS) is before
    colors = msgspec.structs.replace(before, palette=tuple((9, 9, index) for index in range(len(WORDS))))
    assert for_network(colors, WORDS[::-1], before.palette).palette == before.palette


def test_colours_of_masks_are_renumbered_too():
    table = LabelTable(colors={"#000000": 0, "#ffffff": 1, "#808080": 255})
    found = for_network(msgspec.structs.replace(dataset(("a", "b")), label_table=table), ("b", "a"))
    rgb = np.array([[[0, 0, 0], [255, 255, 255], [128, 128, 128]]], np.uint8)
    assert found.label_table.map_colors(rgb)[0].tolist() == [[1, 0, 255]]


def test_numbers_and_colours_are_no_names():
    assert are_numbers(("class_0", "label 1", "7", "#80ff00"))
    assert not are_numbers(("class_0", "road"))
