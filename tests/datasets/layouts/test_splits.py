import hashlib
from pathlib import Path

import pytest

from pixelwise.datasets.layouts.splits import divided, group_names, place_of, series_of, validation_keys
from pixelwise.datasets.samples import Sample
from pixelwise.errors import RecipeError

# The first eight bytes of the SHA-256 of "a" are ca978112ca1bbdca: 0.7913 of 2**64; of "b" 3e23e8160039594a: 0.2427.
HASHES = {"a": 0xCA978112CA1BBDCA, "b": 0x3E23E8160039594A}


@pytest.mark.parametrize(("name", "place"), HASHES.items())
def test_a_name_has_the_place_of_its_hash(name: str, place: int):
    assert place_of(name) == place / 2**64


def test_names_that_are_no_text_have_a_place_too():
    name = b"\xff".decode("utf-8", "surrogateescape")
    assert place_of(name) == int(hashlib.sha256(b"\xff").hexdigest()[:16], 16) / 2**64


def test_a_series_is_a_name_without_its_number():
    keys = [f"drive{letter}_{frame:03d}" for letter in "abcdefghij" for frame in range(3)]
    assert series_of(keys, 0.2)["driveb_002"] == "driveb"
    assert series_of(["tile(1)", "x.rf.0a1b", "7", *keys], 0.2)["x.rf.0a1b"] == "x"
    # A name that is only a number is its own series.
    assert series_of(["7", *keys], 0.2)["7"] == "7"


def test_few_series_or_a_large_one_do_not_stay_together():
    few = [f"{letter}_{frame}" for letter in "abc" for frame in range(5)]
    assert series_of(few, 0.5) == {key: key for key in few}
    large = [*(f"{letter}_1" for letter in "abcdefghij"), *(f"k_{frame}" for frame in range(40))]
    assert series_of(large, 0.2) == {key: key for key in large}
    assert series_of(large, 0.9)["k_3"] == "k"


def test_the_validation_split_is_what_hashes_say():
    keys = [f"photo{number}x" for number in range(50)]
    assert validation_keys(keys) == {key for key in keys if place_of(key) < 0.2}
    assert validation_keys(["alone"]) == set()
    # 0.79 and 0.24: neither is below 0.2, so the lower one is taken.
    assert validation_keys(["a", "b"]) == {"b"}


def test_both_parts_have_something():
    low = sorted((f"n{i}x" for i in range(200)), key=place_of)[:3]
    assert all(place_of(name) < 0.2 for name in low)
    assert validation_keys(low) == set(low[:2])


def test_samples_keep_their_order():
    samples = [Sample(name, Path(f"{name}.jpg"), None) for name in ("b", "a")]
    assert {split: [s.id for s in found] for split, found in divided(samples).items()} == {"train": ["a"], "val": ["b"]}


def test_groups_are_what_an_expression_finds():
    ids = ["york_1", "york_2", "bath_1", "other"]
    assert group_names(ids, "^([a-z]+)_", 0.2) == {
        "york_1": "york",
        "york_2": "york",
        "bath_1": "bath",
        "other": "other",
    }
    assert list(group_names(ids, r"\d", 0.2).values()) == ["1", "2", "1", "other"]
    assert group_names(ids, None, 0.2) == {id: id for id in ids}


def test_an_expression_that_is_none_is_refused():
    with pytest.raises(RecipeError, match=r"`group` '\('") as caught:
        group_names(["a"], "(", 0.2)
    assert caught.value.code == "R203"
