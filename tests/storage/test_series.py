from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.errors import RecipeError
from pixelwise.storage.series import group_names, joined, series_of, series_pattern, shown_series


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


@pytest.mark.parametrize(
    ("names", "series"),
    [
        ([*(f"IMG_{number:04d}" for number in range(500)), "cover"], 0),
        ([*(f"IMG_{number:04d}" for number in range(500)), "cover_1", "cover_2"], 0),
        ([*(f"drive{drive}_{frame:04d}" for drive in range(4) for frame in range(20)), "12345"], 4),
        ([*(f"drive{drive}_{frame:04d}" for drive in range(4) for frame in range(20)), "title"], 4),
        ([f"{name}_{frame}" for name in ("lane", "park") for frame in range(9)], 2),
        ([f"photo of {name}" for name in ("a cat", "a dog", "a bird", "two cats")], 0),
        ([f"{number:06d}" for number in range(90)], 0),
        ([], 0),
        (["one"], 0),
    ],
)
def test_a_name_beside_a_series_makes_no_series(names: list[str], series: int):
    assert shown_series(names) == series
    if series:
        pattern = series_pattern(names)
        sizes = Counter(group_names(names, pattern, 1.0).values())
        assert sum(number > 1 for number in sizes.values()) == series


def test_names_of_no_one_style_have_no_pattern():
    names = [
        *(f"{frame:04d}" for frame in range(30)),
        *(f"a_{letter}{frame}" for letter in "bc" for frame in range(40)),
    ]
    names += [f"a_b_{frame}" for frame in range(30)]
    assert shown_series(names)
    assert series_pattern(names) == "PATTERN"


def test_what_any_division_holds_together_is_joined():
    ids = ["a1", "a2", "b1", "b2", "c1"]
    by_letter, by_number = {id: id[0] for id in ids}, {id: id[1] for id in ids}
    assert joined([by_letter]) == by_letter
    assert len(set(joined([by_letter, by_number]).values())) == 1
    alone = {id: id for id in ids}
    assert parts(joined([by_letter, alone])) == parts(joined([alone, by_letter])) == parts(by_letter)


GROUPS = st.lists(st.integers(0, 6), min_size=12, max_size=12)


@given(st.lists(GROUPS, min_size=1, max_size=4))
def test_joined_groups_are_what_can_be_reached(numbers: list[list[int]]):
    ids = [f"{place}" for place in range(12)]
    divisions = [{id: f"{group}" for id, group in zip(ids, one, strict=True)} for one in numbers]
    expected = set()
    for id in ids:
        reached = {id}
        for _ in ids:
            reached |= {
                other for other in ids for known in tuple(reached) for one in divisions if one[other] == one[known]
            }
        expected.add(frozenset(reached))
    assert parts(joined(divisions)) == expected


def parts(groups: dict[str, str]) -> set[frozenset[str]]:
    """Which ids are of one group."""
    return {frozenset(id for id in groups if groups[id] == name) for name in groups.values()}
