from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.datasets.layouts.splits import cut
from pixelwise.datasets.preparing.stratifying import stratified

NAMES = [f"photo{number}" for number in range(60)]


def test_without_classes_it_is_the_cut_by_names():
    sizes = dict.fromkeys(NAMES, 1)
    assert stratified(sizes, {}, {"val": 12, "test": 6}) == cut(sizes, {"val": 12, "test": 6})


def test_the_rarest_class_is_divided_first():
    # Class 2 is in 5 of 60 images and class 1 in 40, class 0 in all.
    classes = {name: {0} | ({1} if index < 40 else set()) | ({2} if index >= 55 else set())
               for index, name in enumerate(NAMES)}  # fmt: skip
    found = stratified(dict.fromkeys(NAMES, 1), classes, {"val": 12})
    val = [name for name, split in found.items() if split == "val"]
    assert len(val) == 12
    assert [sum(one in classes[name] for name in val) for one in (0, 1, 2)] == [12, 8, 1]


def test_two_images_of_a_class_go_to_two_splits():
    classes = {"photo3": {1}, "photo4": {1}}
    found = stratified(dict.fromkeys(NAMES, 1), classes, {"val": 6})
    assert {found["photo3"], found["photo4"]} == {"train", "val"}


def test_a_class_of_one_image_is_for_training():
    assert stratified(dict.fromkeys(NAMES, 1), {"photo3": {1}}, {"val": 6})["photo3"] == "train"


HELD = st.sets(st.integers(0, 5), max_size=4)


@given(st.lists(HELD, min_size=3, max_size=30), st.integers(1, 20), st.integers(1, 20), st.integers(0, 3))
def test_every_number_is_exact(held: list[set[int]], val: int, test: int, seed: int):
    classes = dict(zip(NAMES, held, strict=False))
    val = min(val, len(held) - 2)
    test = min(test, len(held) - 1 - val)
    found = Counter(stratified(dict.fromkeys(classes, 1), classes, {"val": val, "test": test}, seed).values())
    assert found == Counter(val=val, test=test, train=len(held) - val - test)


@pytest.mark.heavy
@given(st.lists(st.tuples(st.integers(1, 30), HELD), min_size=3, max_size=20))
def test_no_split_is_empty_whatever_the_sizes(groups: list[tuple[int, set[int]]]):
    sizes = {name: size for name, (size, _) in zip(NAMES, groups, strict=False)}
    classes = {name: held for name, (_, held) in zip(NAMES, groups, strict=False)}
    found = stratified(sizes, classes, {"val": max(1, sum(sizes.values()) // 5), "test": 1})
    assert found.keys() == sizes.keys()
    assert set(found.values()) == {"train", "val", "test"}
