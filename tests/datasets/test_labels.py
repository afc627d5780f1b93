import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pixelwise.datasets.labels import (
    LabelTable,
    add_counts,
    color_code,
    color_codes,
    count_values,
    format_color,
    parse_color,
    table_of,
)


def test_known_ids_become_class_ids_and_ignored_ones_255():
    table = table_of({7: 0, 8: 1, 3: 255})
    labels, unknown = table.map_ids(np.array([[7, 8], [3, 255]], np.uint8))
    assert labels.tolist() == [[0, 1], [255, 255]]
    assert labels.dtype == np.uint8
    assert unknown == {}


def test_unknown_ids_are_counted_and_become_ignored():
    labels, unknown = table_of({0: 0, 1: 1}).map_ids(np.array([[0, 7, 7], [1, 9, 0]], np.uint8))
    assert unknown == {7: 2, 9: 1}
    assert labels.tolist() == [[0, 255, 255], [1, 255, 0]]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_ids_above_255_are_mapped(dtype: type):
    labels, unknown = table_of({26001: 2}).map_ids(np.array([[26001, 26002]], dtype))
    assert labels.tolist() == [[2, 255]]
    assert unknown == {26002: 1}


def test_negative_and_huge_ids_are_unknown_instead_of_wrapping_around():
    _, unknown = table_of({0: 0, 65535: 1}).map_ids(np.array([[-1, 65536, 0]], np.int32))
    assert unknown == {-1: 1, 65536: 1}


def test_255_is_ignored_unless_the_table_gives_it_a_class():
    assert table_of({0: 0}).ids[255] == 255
    assert table_of({0: 0, 255: 1}).ids[255] == 1


def test_colors_become_class_ids_and_others_are_counted():
    table = table_of({}, {"#FF0000": 0, "000001": 255})
    rgb = np.array([[[255, 0, 0], [0, 0, 1], [0, 0, 2]]], np.uint8)
    labels, unknown = table.map_colors(rgb)
    assert labels.tolist() == [[0, 255, 255]]
    assert unknown == {0x000002: 1}


def test_to_raw_writes_the_smallest_raw_value_of_a_class():
    table = table_of({7: 0, 6: 0, 8: 1, 3: 255})
    assert table.to_raw(np.array([[0, 1, 255]], np.uint8)).tolist() == [[6, 8, 3]]


def test_to_raw_uses_16_bits_only_where_needed():
    assert table_of({300: 0}).to_raw(np.array([[0, 255]], np.uint8)).dtype == np.uint16
    assert table_of({30: 0}).to_raw(np.array([[0, 255]], np.uint8)).dtype == np.uint8


def test_to_raw_names_class_ids_without_a_raw_value():
    with pytest.raises(ValueError, match=r"class ids \[4\]"):
        table_of({0: 0}).to_raw(np.array([[0, 4]], np.uint8))


@given(
    st.dictionaries(st.integers(0, 65535), st.integers(0, 254), min_size=1, max_size=30),
    st.data(),
)
def test_mapping_back_what_was_written_changes_nothing(ids: dict[int, int], data: st.DataObject):
    table = table_of(ids)
    known = sorted(set(table.ids.values()))
    labels = data.draw(arrays.arrays(np.uint8, (3, 4), elements=st.sampled_from(known)))
    again, unknown = table.map_ids(table.to_raw(labels))
    assert unknown == {}
    assert np.array_equal(again, labels)


@given(arrays.arrays(np.uint8, (4, 5)), st.dictionaries(st.integers(0, 255), st.integers(0, 255), max_size=9))
def test_every_pixel_is_either_mapped_or_counted_as_unknown(values: np.ndarray, ids: dict[int, int]):
    labels, unknown = LabelTable(ids=ids).map_ids(values)
    for value, label in zip(values.ravel().tolist(), labels.ravel().tolist(), strict=True):
        assert label == ids.get(value, 255)
    assert unknown == {v: n for v, n in count_values(values).items() if v not in ids}


def test_colors_are_parsed_and_formatted():
    assert parse_color("#804080") == (128, 64, 128)
    assert format_color((128, 64, 128)) == "#804080"
    with pytest.raises(ValueError, match="'red'"):
        parse_color("red")


def test_the_code_of_a_color_is_that_of_its_pixels():
    assert color_code((1, 2, 255)) == 0x0102FF == color_codes(np.array([[[1, 2, 255]]], np.uint8))[0, 0]


def test_counts_of_several_masks_are_added():
    assert add_counts([{0: 3, 7: 1}, {}, {7: 2}]) == {0: 3, 7: 3}


def test_color_codes_put_red_first():
    assert color_codes(np.array([[[1, 2, 3]]], np.uint8)).tolist() == [[0x010203]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_values_are_counted_with_the_most_frequent_first(dtype: type):
    assert list(count_values(np.array([3, 5, 5, 5, 9, 9], dtype)).items()) == [(5, 3), (9, 2), (3, 1)]


@pytest.mark.parametrize(
    ("ids", "colors", "wrong"),
    [
        ({-(2**63) - 1: 0}, {}, "-9223372036854775809"),
        ({2**64: 0}, {}, "18446744073709551616"),
        ({0: 256}, {}, "256"),
        ({}, {"#000000": 300}, "#000000 to 300"),
        ({}, {"blue": 0}, "'blue'"),
    ],
)
def test_impossible_tables_are_refused(ids: dict[int, int], colors: dict[str, int], wrong: str):
    with pytest.raises(ValueError, match=wrong):
        table_of(ids, colors)


def test_instance_numbers_are_divided_away():
    table = msgspec.structs.replace(table_of({7: 0, 26: 1}), divisor=1000)
    labels, unknown = table.map_ids(np.array([[7, 26, 7000, 26012, 255, 9000]], np.uint16))
    assert labels.tolist() == [[0, 1, 0, 1, 255, 255]]
    assert unknown == {9: 1}


def test_a_threshold_makes_masks_black_and_white():
    table = msgspec.structs.replace(table_of({0: 0, 1: 1}), threshold=128)
    labels, unknown = table.map_ids(np.array([[0, 127, 128, 250, 255]], np.uint8))
    assert (labels.tolist(), unknown) == ([[0, 0, 1, 1, 1]], {})


@st.composite
def tables_and_values(draw: st.DrawFn) -> tuple[dict[int, int], np.ndarray]:
    dtype = np.dtype(draw(st.sampled_from(["uint8", "uint16", "int16", "uint32", "int32", "int64", "uint64"])))
    limits = np.iinfo(dtype)
    ids = draw(
        st.dictionaries(
            st.sampled_from([-1, -9999, 0, 1, 255, 65535, 65536, -(2**63), 2**63 - 1, 2**63, 2**64 - 1]),
            st.integers(0, 255),
            max_size=6,
        )
    )
    known = [raw for raw in ids if limits.min <= raw <= limits.max]
    value = st.integers(int(limits.min), int(limits.max)) | st.sampled_from([0, int(limits.max), *known])
    return ids, np.array(draw(st.lists(value, min_size=1, max_size=12)), dtype)[None]


@given(tables_and_values())
def test_ids_of_any_width_and_sign_are_looked_up_without_wrapping(case: tuple[dict[int, int], np.ndarray]):
    ids, values = case
    labels, unknown = table_of(ids).map_ids(values)
    named = {255: 255, **ids} if ids else {}
    plain = values.ravel().tolist()
    assert labels.ravel().tolist() == [named.get(value, 255) for value in plain]
    assert unknown == {value: plain.count(value) for value in plain if value not in named}


def test_to_raw_prefers_values_that_are_not_negative_and_widens_where_needed():
    assert table_of({-9999: 255, 0: 0, 255: 255}).to_raw(np.array([[0, 255]], np.uint8)).tolist() == [[0, 255]]
    wide = table_of({-1: 0, 70000: 1}).to_raw(np.array([[0, 1]], np.uint8))
    assert (wide.dtype, wide.tolist()) == (np.int64, [[-1, 70000]])
    with pytest.raises(ValueError, match="one integer type"):
        table_of({-1: 0, 2**64 - 1: 1}).to_raw(np.array([[0]], np.uint8))


def test_instance_numbers_of_huge_values_do_not_wrap():
    table = msgspec.structs.replace(table_of({7: 0}), divisor=1000)
    labels, unknown = table.map_ids(np.array([[7001, 2**64 - 1]], np.uint64))
    assert (labels.tolist(), unknown) == ([[0, 255]], {(2**64 - 1) // 1000: 1})
