import hashlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.datasets.layouts.splits import (
    cut,
    divided,
    group_names,
    images_of_share,
    place_of,
    series_of,
    series_pattern,
    shown_series,
    validation_keys,
)
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


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("drive{0}_{1:04d}", "drive{0}"),
        ("drive-{0:02d}/frame {1}", "drive-{0:02d}/frame"),
        ("{0:04d}_{1:06d}", "{0:04d}"),
        ("seq {0} ({1})", "seq {0}"),
        ("IMG_{0}0130_12{1:04d}", "IMG_{0}0130"),
        ("clip{0}.{1}", "clip{0}"),
        ("video_{0}_frame_{1}", "video_{0}_frame"),
        ("area{0}_{1}_7.rf.0a{1}b", "area{0}_{1}_7"),
    ],
)
def test_series_may_be_numbered_themselves(form: str, name: str):
    keys = {form.format(series, image): name.format(series, image) for series in range(11, 23) for image in range(1, 6)}
    assert series_of(list(keys), 0.2) == keys


def test_all_numbers_at_the_end_count_where_enough_series_remain():
    tiles = [f"map{letter}_{row}_{column}" for letter in "abcdefghij" for row in range(3) for column in range(12)]
    assert series_of(tiles, 0.2)["mapb_1_10"] == "mapb"
    # The tiles of one map: neighbours of a row stay together.
    assert series_of([f"map_{row}_{column}" for row in range(12) for column in range(4)], 0.2)["map_10_3"] == "map_10"


@given(st.lists(st.text("ab01_-. ()", max_size=8), min_size=1, max_size=60, unique=True), st.floats(0.05, 0.95))
def test_series_are_beginnings_of_names_and_never_too_large(keys: list[str], share: float):
    found = series_of(keys, share)
    assert list(found) == keys
    assert all(key.startswith(series) for key, series in found.items())
    sizes = Counter(found.values())
    assert found == {key: key for key in keys} or (len(sizes) >= 10 and max(sizes.values()) <= share * len(keys))


def test_few_series_or_a_large_one_do_not_stay_together():
    few = [f"{letter}_{frame}" for letter in "abc" for frame in range(5)]
    assert series_of(few, 0.5) == {key: key for key in few}
    large = [*(f"{letter}_1" for letter in "abcdefghij"), *(f"k_{frame}" for frame in range(40))]
    assert series_of(large, 0.2) == {key: key for key in large}
    assert series_of(large, 0.9)["k_3"] == "k"


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


@pytest.mark.parametrize(
    ("style", "pattern"),
    [
        ("{}_{:04d}", "^[^_]+"),
        ("{}-{:04d}", "^[^-]+"),
        ("{} ({:d})", "^[^ ]+"),
        ("{}{:04d}", "^[^0-9]+"),
        ("city_{}_{:04d}", "^[^0-9]+"),
        ("day2_{}_{:04d}", "^.*(?=_)"),
        ("day2-{}-{:04d}", "^.*(?=-)"),
        ("a/{}_{:04d}_{:02d}", None),
        ("{}/{:04d}", "^.+/"),
        ("{}/frame_{:04d}", "^.+/"),
    ],
)
@pytest.mark.parametrize("names", [("lane", "park", "quay"), ("0001TP", "0006R0", "Seq05VD")])
def test_the_pattern_of_series_finds_each_of_them(style: str, pattern: str | None, names: tuple[str, ...]):
    found = pattern_of_series(style, names)
    if pattern is not None and names[0] == "lane":
        assert found == pattern


@pytest.mark.parametrize(
    ("style", "pattern"), [("{}_{:04d}", "^[^_]+"), ("{}-{:04d}", "^[^-]+"), ("{}/{:04d}", "^.+/"), ("{}.{:04d}", None)]
)
def test_series_whose_names_are_numbers_are_found_too(style: str, pattern: str | None):
    assert pattern_of_series(style, ("0003", "0014", "0271")) == pattern or pattern is None


def pattern_of_series(style: str, names: tuple[str, ...]) -> str:
    """The pattern for seven images of each series, which has to find these very series."""
    series = {style.format(name, number, 3): name for name in names for number in range(1, 8)}
    keys = sorted(series)
    assert shown_series(keys) == len(names)
    found = series_pattern(keys)
    groups = group_names(keys, found, 1.0)
    assert all((groups[a] == groups[b]) == (series[a] == series[b]) for a in keys for b in keys)
    return found


def test_an_expression_that_is_in_no_name_is_refused():
    with pytest.raises(RecipeError, match="`group` 'zzz' is found in none of the 2 image names, such as 'a_1'"):
        group_names(["a_1", "b_2"], "zzz", 0.2)
    assert group_names([], "zzz", 0.2) == {}
    assert group_names(["a_1", "b_2"], "a", 0.2) == {"a_1": "a", "b_2": "b_2"}


def test_an_expression_that_is_none_is_refused():
    with pytest.raises(RecipeError, match=r"`group` '\('") as caught:
        group_names(["a"], "(", 0.2)
    assert caught.value.code == "R203"
