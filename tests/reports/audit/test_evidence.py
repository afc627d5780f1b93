from __future__ import annotations

from pathlib import Path

import numpy as np
from contracts.mistakes import pairs
from PIL import Image

from pixelwise.datasets.auditing.checking import examined
from pixelwise.datasets.findings import finding
from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.reading.mask_values import RawMask
from pixelwise.reports.audit.evidence import SIDE, doubtful_pixels, exhibits, shrunk, values_as_colors, with_marks
from pixelwise.reports.audit.page import render_check_page


def raw(values: list, palette: list | None = None, *, lossless: bool = True) -> RawMask:
    array = np.array(values, np.uint8)
    return RawMask(array, None if palette is None else np.array(palette, np.uint8), "8-bit PNG", lossless)


def test_values_become_colours():
    # The smallest value is black, the next one VOC's maroon; ignored pixels are white.
    assert values_as_colors(raw([[0, 80, 255]])).tolist() == [[[0, 0, 0], [128, 0, 0], [255, 255, 255]]]
    palette = [[1, 2, 3], [4, 5, 6]]
    assert values_as_colors(raw([[1, 0]], palette)).tolist() == [[[4, 5, 6], [1, 2, 3]]]
    # An index beyond the palette has no colour of its own.
    assert values_as_colors(raw([[2, 0]], palette)).tolist() == [[[128, 0, 0], [0, 0, 0]]]
    assert values_as_colors(raw([[7, 90]], lossless=False)).tolist() == [[[7, 7, 7], [90, 90, 90]]]
    assert values_as_colors(raw([[[9, 8, 7]]])).tolist() == [[[9, 8, 7]]]


def test_pixels_without_a_class():
    table = LabelTable(ids={0: 0, 1: 1, 37: 255, 255: 255})
    mask = raw([[0, 1, 37], [255, 9, 0]])
    assert doubtful_pixels(mask, table, inferred=False).tolist() == [[False, False, False], [False, True, False]]
    assert doubtful_pixels(mask, table, inferred=True).tolist() == [[False, False, True], [False, True, False]]
    colors = LabelTable(colors={"#000001": 0, "#000002": 255})
    picture = raw([[[0, 0, 1], [0, 0, 2], [0, 0, 3]]])
    assert doubtful_pixels(picture, colors, inferred=True).tolist() == [[False, True, True]]
    # A table of ids says nothing about colours.
    assert not doubtful_pixels(picture, table, inferred=True).any()


def test_places_are_framed_at_the_size_of_the_picture():
    wrong = np.zeros((40, 60), bool)
    wrong[10, 20] = wrong[30, 50] = True
    framed, marked = with_marks(np.zeros((80, 120, 3), np.uint8), wrong)
    assert marked == 2
    where = framed.any(2)
    # The pixel with 3 pixels around it in both directions, twice as large, with a margin of 3.
    assert where[20 - 6 - 3, 40]
    assert not where[20, 40]
    assert not where[60:, :60].any()
    black = np.zeros((40, 60, 3), np.uint8)
    assert with_marks(black, np.ones((40, 60), bool))[1] == 0
    assert with_marks(black, np.zeros((40, 60), bool))[1] == 0


def test_pictures_are_shrunk_but_never_enlarged():
    assert shrunk(np.zeros((2 * SIDE, 100, 3), np.uint8)).shape == (SIDE, 50, 3)
    assert shrunk(np.zeros((3, 5000, 3), np.uint8)).shape == (1, SIDE, 3)
    assert shrunk(np.zeros((7, 5, 3), np.uint8)).shape == (7, 5, 3)


def test_a_stray_value_is_shown_framed_beside_its_photo(tmp_path: Path):
    def stray(labels: np.ndarray, index: int) -> np.ndarray:
        changed = labels.copy()
        if index == 3:
            changed[2:4, 2:4] = 37
        return changed

    pairs(tmp_path, stray)
    checked = examined(tmp_path)
    (found,) = [one for one in checked.audit.findings if one.code == "D204"]
    (shown,) = exhibits(checked, found)
    assert shown.file == found.files[0]
    assert shown.photo is not None
    assert shown.mask is not None
    assert shown.marked == 1
    page = render_check_page(checked)
    assert "values that nothing names are framed" in page
    assert page.count('class="labels-alone"') >= 1


def test_a_file_that_cannot_be_read_leaves_its_partner(tmp_path: Path):
    pairs(tmp_path, lambda labels, index: labels)
    mask = min((tmp_path / "masks").rglob("*.png"))
    mask.write_bytes(b"broken")
    checked = examined(tmp_path)
    (found,) = [one for one in checked.audit.findings if mask.name in str(one.files)]
    (shown,) = exhibits(checked, found)
    assert shown.photo is not None
    assert shown.mask is None
    unpaired = tmp_path / "images" / "alone.png"
    Image.new("RGB", (8, 8)).save(unpaired)
    missing = finding("D220", "no mask", ["images/alone.png", "images/gone.png"])
    assert [one.file for one in exhibits(checked, missing)] == ["images/alone.png"]
