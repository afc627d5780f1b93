import io
import re

import pytest
from reports.zoo_cases import make_recipe, make_result, make_zoo
from rich.console import Console

from pixelwise.reports.zoo.terminal import folded, print_pages
from pixelwise.zoo.rows import LEGEND

RECIPE = make_recipe()


def printed(width: int, *results) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, color_system=None)
    print_pages([make_zoo(*results)], console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_wide_terminal_shows_the_page_and_ours_side_by_side():
    text = printed(160, make_result(RECIPE, 59.456))
    row = next(line for line in text.splitlines() if "row-1" in line)
    assert row.split() == [
        "Net*",
        "480x360",
        "2.1",
        "60.00¹",
        "ckpt|x",
        "row-1",
        "0.001",
        "2.001",
        "a",
        "59.46",
        "reproduced",
    ]


def test_a_narrow_terminal_shows_two_tables_with_equal_numbers():
    text = printed(76, make_result(RECIPE, 59.456))
    lines = [line.split() for line in text.splitlines()]
    assert ["1", "Net*", "480x360", "2.1", "60.00¹", "ckpt|x"] in lines
    assert ["1", "row-1", "0.001", "2.001", "a", "60.00", "59.46", "reproduced"] in lines


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_cut(width):
    text = printed(width, make_result(RECIPE, 40.0, split="val"))
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text


def test_texts_footnotes_and_the_legend_are_there():
    text = printed(120)
    notes = make_zoo().footnotes
    assert "*- ¹ At <b>half</b> size, see https://x.y/z." in text
    assert "On roads¹" in text
    assert "- Small ones" in text
    assert all(f"{letter}  {note}"[:60] in text for letter, note in notes)
    assert all(re.search(rf"^{state} +\w", text, re.MULTILINE) for state, _ in LEGEND)


def test_measured_classes_stand_beside_the_published_ones():
    lines = [line.split() for line in printed(120, make_result(RECIPE, 59.0)).splitlines()]
    assert ["IoU", "(%)", "91.0", "80.5"] in lines
    assert ["measured", "90.0", "-"] in lines


def test_long_names_break_after_hyphens():
    assert folded("fpnlite-mobilenetv2-ade20k32", 20) == "fpnlite-mobilenetv2-\nade20k32"
    assert folded("short", 3) == "short"
