import pytest
from reports.zoo_cases import COUNTED, PAGE, make_recipe, make_result, make_zoo

from pixelwise.recipes.published.pages import PAGES, read_page
from pixelwise.zoo.counting import Count
from pixelwise.zoo.rows import gmacs_text, our_cells, read_zoo

RECIPE = make_recipe()


def states(*results, **options) -> list[str]:
    return [row.state for row in make_zoo(*results, **options).rows()]


def test_rows_stand_in_the_pages_order_with_their_sections_and_groups():
    first, second, later = make_zoo().rows()
    assert (first.recipe.name, second.recipe.name, later.recipe.name) == ("row-1", "row-2", "later")
    assert first.section == ("Models", "On roads<sup>1</sup>")
    assert (first.group, second.group) == ("Small ones", "")
    assert [row.on_page for row in (first, second, later)] == [True, True, False]


def test_a_network_like_the_original_is_verified_and_one_without_an_original_is_not():
    assert states() == ["architecture verified", "published only", "architecture verified"]


def test_another_network_is_published_only_and_says_why():
    page = make_zoo(count=Count(parameters=1001, gmacs=2.0, outputs=3, size=(360, 480)))
    row = page.rows()[0]
    assert row.state == "published only"
    [reason] = [text for column, text in row.remarks if column == "state"]
    assert ("1000" in reason, "1001" in reason) == (True, True)


def test_results_raise_the_state():
    assert states(make_result(RECIPE, 40.0))[0] == "trained here"
    assert states(make_result(RECIPE, 59.5, split="val"))[0] == "trained here"
    assert states(make_result(RECIPE, 59.5))[0] == "reproduced"
    assert states(make_result(RECIPE, 59.5, step=0))[0] == "architecture verified"


def test_a_row_without_a_published_score_can_only_be_trained():
    unscored = make_recipe("row-2", {"miou_percent": None, "original": None})
    assert states(make_result(unscored, 99.0))[1] == "trained here"


def test_our_columns_are_rounded_and_say_where_gmacs_count_at_another_size():
    first, second, _ = make_zoo(make_result(RECIPE, 59.456)).rows()
    assert our_cells(first) == ("row-1", "0.001", "2.001", "59.46", "reproduced")
    assert our_cells(second)[2:4] == ("2.001 at 480x360", "-")


@pytest.mark.parametrize("printed", ["480x360", "360x480", "[480, 360]"])
def test_a_size_that_the_row_prints_is_not_repeated(printed):
    row = make_zoo().rows()[0]
    assert (
        our_cells(type(row)(**{**{f: getattr(row, f) for f in row.__struct_fields__}, "cells": (printed,)}))[2]
        == "2.001"
    )


def test_what_could_not_be_counted_is_a_dash():
    assert our_cells(make_zoo(count=Count(problem="No."))
                     .rows()[0])[1:3] == ("-", "-")  # fmt: skip


def test_another_printed_complexity_gets_a_footnote():
    # The page prints 2.1, the original counts 2.0.
    assert "GMACs" in dict(make_zoo().rows()[0].remarks)
    assert "GMACs" not in dict(make_zoo().rows()[1].remarks)


def test_the_originals_note_is_the_reason_where_there_is_one():
    noted = {"original": type(RECIPE.published.original)(
        outputs=3, parameters="1000", gmacs=2.0, size=(360, 480), note="Printed for another size.")}  # fmt: skip
    assert dict(make_zoo(published=noted).rows()[0].remarks)["GMACs"] == "Printed for another size."


def test_footnotes_are_lettered_once_each_in_the_order_of_the_rows():
    page = make_zoo(make_result(RECIPE, 40.0, split="val"))
    assert [letter for letter, _ in page.footnotes] == ["a", "b", "c", "d"]
    texts = dict(page.footnotes)
    first, second, later = page.rows()
    assert texts["a"] == dict(first.remarks)["GMACs"]
    assert texts["b"] == dict(first.remarks)["measured mIoU (%)"]
    assert texts["c"] == dict(second.remarks)["state"]
    assert texts["d"] == dict(later.remarks)["recipe"] == "Not a row of the page."
    assert (page.marks(first, "GMACs"), page.marks(first, "measured mIoU (%)")) == ("a", "b")
    assert page.marks(second, "state") == "c"
    # The footnote about GMACs belongs to the page's own rows: this one prints none.
    assert (page.marks(later, "GMACs"), page.marks(later, "recipe")) == ("", "d")


def test_per_class_scores_stand_beside_the_published_ones_when_comparable():
    assert make_zoo().rows()[0].per_class == (("Sky", "91.0", None), ("Road", "80.5", None))
    runs = make_result(RECIPE, 59.0), make_result(RECIPE, 59.0, "b")
    assert make_zoo(*runs).rows()[0].per_class == (("Sky", "91.0", pytest.approx(90.0)), ("Road", "80.5", None))
    assert make_zoo(make_result(RECIPE, 59.0, split="val")).rows()[0].per_class[0] == ("Sky", "91.0", None)


def test_letters_go_on_after_z():
    recipes = {f"row-{n}": make_recipe(f"row-{n}", {"note": f"Note {n}."}) for n in range(30)}
    page = read_zoo([PAGE], find=recipes.__getitem__, names=list(recipes), count=lambda _: COUNTED)[0]
    assert [letter for letter, _ in page.footnotes][25:28] == ["z", "aa", "ab"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.2614, "0.261"), (3.2161792, "3.216"), (149.281, "149.28"), (1161.89, "1161.9")]
)
def test_gmacs_keep_about_five_digits(value, text):
    assert gmacs_text(value) == text


def test_the_real_pages_join_with_the_catalogue():
    zoo = read_zoo([read_page(page) for page in PAGES], count=lambda _: COUNTED)
    assert [sum(row.on_page for row in page.rows()) for page in zoo] == [2, 12, 12, 12, 35]
