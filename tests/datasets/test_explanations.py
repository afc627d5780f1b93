import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pixelwise.datasets.explanations import (
    are_smoothed,
    black_and_white_share,
    compact_map,
    describe_counts,
    describe_ids,
    explain_colors_without_table,
    explain_lossy,
    explain_unknown_colors,
    explain_unknown_ids,
    in_files,
    known_palettes,
    label_map_override,
    number_of,
    percent,
    voc_color,
)
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.class_sets.tables import CITYSCAPES
from pixelwise.recipes.overrides import apply_overrides


def test_counts_are_listed_by_size_and_cut_after_five():
    assert describe_counts({3: 1, 9: 5}) == "9 (5 px), 3 (1 px)"
    assert describe_counts(dict.fromkeys(range(8), 1)).endswith("4 (1 px) and 3 more")
    assert describe_counts({0xFF0000: 2}, colors=True) == "#ff0000 (2 px)"


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([0, 1, 2, 255], "0..2 or 255 (ignored)"),
        ([0, 7, 33], "0, 7, 33"),
        ([0, 1], "0, 1"),
        ([0, 1, 2, 12, 13, 20, 21, 22, 255], "0..2, 12, 13, 20..22 or 255 (ignored)"),
        (range(0, 100, 2), ", ".join(map(str, range(0, 40, 2))) + ", ..."),
        ([255], "255 (ignored)"),
    ],
)
def test_ids_are_described_as_a_range_where_they_are_one(ids: list[int], text: str):
    assert describe_ids(ids) == text


def test_a_proposed_override_is_one_that_the_command_line_understands():
    override = label_map_override({0: 0, 255: 1})
    assert override == "'data.label_map={0 = 0, 255 = 1}'"
    assert apply_overrides(recipe("unet-resnet18"), [override.strip("'")]).data.label_map == {"0": 0, "255": 1}


def test_compacting_closes_gaps_and_keeps_255_ignored():
    assert compact_map([0, 7, 33, 255]) == {0: 0, 7: 1, 33: 2, 255: 255}
    assert compact_map([-9999, -1, 0, 7]) == {-9999: 255, -1: 255, 0: 0, 7: 1}


@pytest.mark.parametrize(
    ("unknown", "seen", "num_classes", "expected"),
    [
        ({3}, {1, 2, 3}, 3, "'data.label_map={1 = 0, 2 = 1, 3 = 2}'"),
        ({3}, {0, 1, 2, 3}, 3, "'data.label_map={0 = 255, 1 = 0, 2 = 1, 3 = 2}'"),
        ({23, 26, 33}, {7, 8, 23, 26, 33}, 19, label_map_override(CITYSCAPES.label_table)),
        ({-1, 26}, {-1, 7, 8, 26}, 19, label_map_override({-1: 255, **CITYSCAPES.label_table})),
        # Ids of training with -1 for the rest are not the full ids.
        ({-1}, {-1, *range(19)}, 19, "to ignore them, add 'data.label_map={-1 = 255, 0 = 0, 1 = 1,"),
        ({7}, {0, 1, 2, 7}, 3, "'data.label_map={0 = 0, 1 = 1, 2 = 2, 7 = 255}'"),
        ({7, 14}, {0, 7, 14, 255}, 3, "'data.label_map={0 = 0, 7 = 1, 14 = 2, 255 = 255}'"),
        ({128}, {0, 128, 255}, 3, "'data.label_map={0 = 0, 128 = 1, 255 = 2}'"),
        ({-1}, {-1, 0, 1, 2}, 3, "to ignore them, add 'data.label_map={-1 = 255, 0 = 0, 1 = 1, 2 = 2}'"),
    ],
)
def test_unknown_ids_are_explained_by_their_likely_cause(
    unknown: set[int], seen: set[int], num_classes: int, expected: str
):
    assert expected in explain_unknown_ids(unknown, dict.fromkeys(seen, 1000), num_classes)


def test_a_few_pixels_are_ignored_first_and_never_renumber_the_rest():
    counts = {0: 50_000, 1: 30_000, 2: 20_000}
    ignored = "'data.label_map={0 = 0, 1 = 1, 2 = 2, 3 = 255}'"
    assert explain_unknown_ids({3}, {**counts, 3: 9}, 3).startswith(f"to ignore these few pixels, add {ignored}; if 0 ")
    assert not explain_unknown_ids({3}, {**counts, 3: 9_000}, 3).startswith("to ignore")
    # Nine pixels of one value are not the third class.
    assert "7 = 255" in explain_unknown_ids({7}, {0: 50_000, 1: 30_000, 7: 9}, 3)


def test_ignoring_keeps_the_map_that_was_given():
    known = {0: 0, 100: 1, 200: 2, 255: 255}
    seen = {0: 500, 100: 300, 200: 200, 37: 90}
    assert "'data.label_map={0 = 0, 37 = 255, 100 = 1, 200 = 2}'" in explain_unknown_ids({37}, seen, 3, known)


def test_what_would_leave_one_class_is_not_proposed():
    for seen in ({0: 500, 7: 300, 14: 200, 21: 100}, {5: 100, 7: 300, 14: 200, 21: 100}):
        advice = explain_unknown_ids(set(seen) - {0}, seen, 3)
        assert "data.label_map={" not in advice
        assert "class is left" in advice


def test_a_table_that_names_one_class_is_not_proposed_again_for_a_few_unknown_pixels():
    advice = explain_unknown_ids({-1}, {-1: 1, 0: 5_000, 1: 5_000}, 2, {0: 0, 1: 0})
    assert "data.label_map={" not in advice
    assert "only one class is left" in advice


@given(
    st.dictionaries(st.integers(-2, 300), st.integers(1, 100_000), min_size=1, max_size=8),
    st.integers(2, 21),
    st.none() | st.dictionaries(st.integers(0, 255), st.integers(0, 1), min_size=2, max_size=4),
)
def test_every_map_proposed_for_unknown_ids_names_them_and_no_class_that_is_not_there(
    seen: dict[int, int], num_classes: int, known: dict[int, int] | None
):
    unknown = set(seen) - set(known if known is not None else [*range(num_classes), 255])
    assume(unknown)
    advice = explain_unknown_ids(unknown, seen, num_classes, known)
    for found in re.findall(r"data\.label_map=\{([^}]*)\}", advice):
        mapping = {int(raw): int(class_id) for raw, class_id in (entry.split(" = ") for entry in found.split(", "))}
        assert unknown <= set(mapping)
        assert set(mapping.values()) <= {*range(num_classes), 255}
        assert len(set(mapping.values()) - {255}) >= 2


def test_no_label_map_is_proposed_for_instance_ids_and_for_too_many_values():
    instances = explain_unknown_ids({24001, 26003}, dict.fromkeys({7, 24001, 26003}, 1000), 19)
    many = explain_unknown_ids(set(range(5, 100)), dict.fromkeys(range(100), 1000), 5)
    assert "class * 1000" in instances
    assert "class * 1000" not in many
    assert "data.label_map" not in instances + many


def test_the_voc_colour_map_is_the_published_one():
    assert [voc_color(i) for i in (0, 1, 2, 3, 15, 20)] == [
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (128, 128, 0),
        (192, 128, 128),
        (0, 64, 128),
    ]


def test_colours_of_a_known_palette_are_recognised_with_their_share():
    colors = {0x804080: 60, 0x46_46_46: 30, 0x010203: 10}
    clause, fix = explain_colors_without_table(colors, len(CITYSCAPES.names))
    assert "90.0 %" in clause
    assert "Cityscapes" in clause
    assert 'data.colors={"#804080" = 0, "#464646" = 2}' in fix


def test_without_its_classes_the_colours_of_a_palette_get_ids_without_gaps():
    _, fix = explain_colors_without_table({0x804080: 60, 0x46_46_46: 30, 0: 10})
    assert 'data.colors={"#804080" = 0, "#464646" = 1, "#000000" = 255}' in fix
    assert '\'data.classes=["road", "building"]\'' in fix


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ((0, 128, 255), {0: 0, 128: 1, 255: 2}),
        ((0, 85, 170, 255), {0: 0, 85: 1, 170: 2, 255: 3}),
        ((0, 80, 160, 255), {0: 0, 80: 1, 160: 2, 255: 255}),
        ((0, 255), {0: 0, 255: 255}),
        ((-9999, 0, 4), {-9999: 255, 0: 0, 4: 1}),
    ],
)
def test_a_compact_map_closes_gaps_and_knows_grey_levels_and_missing_data(ids: tuple[int, ...], expected: dict):
    assert compact_map(ids) == expected


def test_shares_are_never_written_in_powers_of_ten():
    assert [percent(share) for share in (1, 0.5, 0.0123, 0.0004, 0.00001, 0)] == [
        "100 %", "50 %", "1.2 %", "0.04 %", "< 0.01 %", "0 %",
    ]  # fmt: skip


def test_one_thing_is_singular():
    assert number_of(["a"], "mask holds", "masks hold") == "1 mask holds"
    assert number_of([], "mask holds", "masks hold") == "0 masks hold"
    assert in_files(37, 16, 1, "a.png") == "37 (16 px in a.png)"
    assert in_files(37, 16, 3, "a.png") == "37 (16 px in 3 masks, the first: a.png)"


def test_a_few_unknown_colours_are_proposed_as_a_table():
    clause, fix = explain_colors_without_table({0x010101: 1, 0xFF00FE: 9})
    assert "#ff00fe (9 px)" in clause
    assert '{"#ff00fe" = 0, "#010101" = 1}' in fix


def test_black_alone_is_no_proof_of_a_palette():
    clause, fix = explain_colors_without_table({0: 90, 0xFF00FE: 10})
    assert not any(name in clause for name in known_palettes())
    assert 'data.colors={"#000000" = 0, "#ff00fe" = 1}' in fix


def test_no_table_is_proposed_for_hundreds_of_colours():
    assert "data.colors" not in explain_colors_without_table({0x100000 + i: 1 for i in range(500)})[1]
    clause, fix = explain_unknown_colors({0x100000 + i: 1 for i in range(500)}, 100_000, 510)
    assert "510 colours" in clause
    assert "0.5 %" in clause
    assert "#" not in clause
    assert "PNG" in fix


def test_a_single_unknown_colour_is_named():
    clause, fix = explain_unknown_colors({0x0000FF: 25}, 100, 3)
    assert "3 colours" in clause
    assert "25 %" in clause
    assert clause.endswith("#0000ff (25 px)")
    assert "data.colors" in fix


def test_black_and_white_is_a_share_of_the_pixels_that_needs_both():
    assert black_and_white_share({0: 5, 3: 1, 250: 2, 128: 2}) == 0.8
    assert black_and_white_share({0: 5, 1: 5}) == 0.0
    assert black_and_white_share({0: 5, 1000: 5}) == 0.0


@pytest.mark.parametrize(
    ("counts", "smoothed"),
    [
        ({0: 90, 255: 10}, False),
        ({0: 90, 255: 10, 64: 1, 128: 1, 192: 1}, False),  # four classes and one more
        ({0: 90, 255: 10, 60: 1, 100: 1, 140: 1, 180: 1}, True),
        ({0: 10, 255: 10, 60: 10, 100: 10, 140: 10, 180: 10}, False),
        ({0: 90, 1: 10, 2: 3}, False),
    ],
)
def test_grey_edges_are_told_from_classes(counts: dict[int, int], smoothed: bool):
    assert are_smoothed(counts) == smoothed


def test_a_lossy_mask_of_black_and_white_can_be_read_with_a_threshold():
    assert "data.mask_threshold=128" in explain_lossy({0: 90, 2: 5, 253: 20, 120: 1})
    assert "mask_threshold" not in explain_lossy({0: 90, 1: 40, 2: 30, 5: 1})
    assert "mask_threshold" not in explain_lossy({})
