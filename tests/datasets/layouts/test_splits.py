import hashlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.datasets.layouts.splits import (
    cut,
    divided,
    images_of_share,
    place_of,
    validation_keys,
)
from pixelwise.datasets.samples import Sample

# The first eight bytes of the SHA-256 of "a" are ca978112ca1bbdca: 0.7913 of 2**64; of "b" 3e23e8160039594a: 0.2427.
HASHES = {"a": 0xCA978112CA1BBDCA, "b": 0x3E23E8160039594A}


@pytest.mark.parametrize(("name", "place"), HASHES.items())
def test_a_name_has_the_place_of_its_hash(name: str, place: int):
    assert place_of(name) == place / 2**64


def test_names_that_are_no_text_have_a_place_too():
    name = b"\xff".decode("utf-8", "surrogateescape")
    assert place_of(name) == int(hashlib.sha256(b"\xff").hexdigest()[:16], 16) / 2**64


def test_the_validation_split_is_the_first_fifth_by_hash():
    keys = [f"photo{number}x" for number in range(50)]
    assert validation_keys(keys) == set(sorted(keys, key=place_of)[:10])
    assert validation_keys(["alone"]) == set()
    assert validation_keys(["a", "b"]) == {"b"}  # 0.24 before 0.79


@pytest.mark.parametrize(
    ("images", "number"),
    [(0, 0), (1, 0), (2, 1), (3, 1), (6, 2), (10, 3), (14, 4), (15, 5), (20, 5), (25, 5), (30, 6), (46, 9), (367, 73)],
)
def test_a_share_is_cut_exactly_with_a_floor_of_five_where_there_are_enough(images: int, number: int):
    assert images_of_share(images, 0.2) == number
    assert len(validation_keys(str(index) for index in range(images))) == number


@given(st.integers(1, 300), st.floats(0.01, 0.99))
def test_a_share_leaves_something_for_both_parts(images: int, share: float):
    number = images_of_share(images, share)
    assert (0 < number < images) if images > 1 else number == 0
    assert images_of_share(images, 0) == 0


@given(st.sets(st.text("abcdefgh019", min_size=1, max_size=6), min_size=2, max_size=60), st.data())
def test_one_more_image_moves_at_most_one_other(names: set[str], data: st.DataObject):
    names = {f"{name}x" for name in names}  # without series
    new = data.draw(st.text("abcdefgh019", min_size=1, max_size=6)) + "y"
    before, after = validation_keys(names), validation_keys([*names, new]) - {new}
    assert len(before ^ after) <= 1


def test_groups_are_cut_where_a_split_comes_closest_to_its_number():
    order = sorted("abcdefgh", key=place_of)
    sizes = dict.fromkeys(order, 4)
    first = cut(sizes, {"val": 6})
    assert [first[name] for name in order] == ["val"] + ["train"] * 7  # 4 is as close to 6 as 8
    second = cut(sizes, {"test": 7, "val": 4})
    assert [second[name] for name in order] == ["test", "test", "val", *["train"] * 5]
    assert Counter(cut(dict.fromkeys("abc", 9), {"test": 1, "val": 1}).values()) == Counter(("test", "val", "train"))
    other = cut(dict.fromkeys(map(str, range(100)), 1), {"val": 20}, seed=1)
    assert Counter(other.values())["val"] == 20
    assert other != cut(dict.fromkeys(map(str, range(100)), 1), {"val": 20})


def test_a_seed_gives_another_place():
    assert place_of("a", 3) == int(hashlib.sha256(b"3/a").hexdigest()[:16], 16) / 2**64
    assert place_of("a", 0) == place_of("a")


def test_samples_keep_their_order():
    samples = [Sample(name, Path(f"{name}.jpg"), None) for name in ("b", "a")]
    assert {split: [s.id for s in found] for split, found in divided(samples).items()} == {"train": ["a"], "val": ["b"]}
    assert divided(samples).in_words == "val 1 of 2 by file name"
