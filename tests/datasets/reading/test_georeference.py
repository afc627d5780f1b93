"""Positions on the map and missing pixels, as tifffile and plain text files write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from pixelwise.datasets.reading.georeference import Georeference, placement_of, read_georeference

SCALE, TIE = (33550, "d", 3, (0.5, 0.5, 0.0), True), (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 5e6, 0.0), True)
KEYS = (34735, "H", 8, (1, 1, 0, 1, 3072, 0, 1, 32633), True)


def nodata(text: str):
    return (42113, "s", 0, text, True)


def tiff(path: Path, values: np.ndarray, *tags, **options) -> Path:
    options = {"photometric": "rgb" if values.ndim == 3 else "minisblack", "metadata": None} | options
    tifffile.imwrite(path, values, extratags=list(tags), **options)
    return path


def found(path: Path) -> Georeference:
    place = read_georeference(path, is_tiff=True)
    assert place is not None
    return place


def test_a_tiff_file_without_tags_has_no_position(tmp_path):
    path = tiff(tmp_path / "a.tif", np.zeros((4, 5, 3), np.uint8), nodata("0"))

    assert read_georeference(path, is_tiff=True) is None


def test_tags_are_kept_as_stored(tmp_path):
    place = found(tiff(tmp_path / "a.tif", np.ones((4, 5, 3), np.uint8), SCALE, TIE, KEYS))

    assert [(code, value) for code, _, _, value, _ in place.tags] == [
        (33550, SCALE[3]),
        (33922, TIE[3]),
        (34735, KEYS[3]),
    ]
    assert place.missing is None


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize(
    ("dtype", "value"), [("uint8", "0"), ("uint16", "65535"), ("int16", "-9999"), ("float32", "nan")]
)
def test_a_pixel_is_missing_if_all_bands_have_the_value(tmp_path, dtype, value, planar):
    values = np.ones((4, 5, 3), dtype)
    values[0, 0] = value  # all three bands
    values[1, 1, 2] = value  # one of them
    stored = values if planar == "contig" else values.transpose(2, 0, 1)

    place = found(tiff(tmp_path / "a.tif", stored, SCALE, TIE, nodata(value), planarconfig=planar))

    assert place.missing is not None
    assert np.argwhere(place.missing).tolist() == [[0, 0]]


def test_fully_transparent_pixels_are_missing(tmp_path):
    values = np.full((4, 5, 4), 255, np.uint8)
    values[2, 3, 3], values[2, 4, 3] = 0, 128

    place = found(tiff(tmp_path / "a.tif", values, SCALE, TIE, extrasamples=["unassalpha"]))

    assert place.missing is not None
    assert np.argwhere(place.missing).tolist() == [[2, 3]]


def test_a_value_that_is_no_number_is_an_error_that_says_so(tmp_path):
    path = tiff(tmp_path / "a.tif", np.zeros((4, 5), np.uint8), SCALE, TIE, nodata("none"))

    with pytest.raises(ValueError, match="none"):
        read_georeference(path, is_tiff=True)


@pytest.mark.parametrize(
    ("image", "world"), [("a.jpg", "a.jgw"), ("a.PNG", "a.pgw"), ("a.tif", "a.tfw"), ("a.bmp", "a.wld")]
)
def test_world_files_lie_beside_the_image(tmp_path, image, world):
    (tmp_path / world).write_bytes(b"0.5\n0\n0\n-0.5\n500000\n5000000\n")
    (tmp_path / "a.prj").write_bytes(b"PROJCS[...]")
    if image == "a.tif":
        tiff(tmp_path / image, np.zeros((4, 5), np.uint8))

    place = read_georeference(tmp_path / image, is_tiff=image == "a.tif")

    assert place == Georeference(world=b"0.5\n0\n0\n-0.5\n500000\n5000000\n", projection=b"PROJCS[...]")


def test_a_large_file_with_the_name_of_a_world_file_is_not_one(tmp_path):
    (tmp_path / "a.pgw").write_bytes(b"0" * 70_000)

    with pytest.raises(ValueError, match="70000 bytes"):
        read_georeference(tmp_path / "a.png", is_tiff=False)


def corners(*tags, world: bytes | None = None) -> list[list[float]] | None:
    """Map coordinates of the upper left corner of the image and of one three columns and two rows from it."""
    placement = placement_of(Georeference(tags, world=world))
    return None if placement is None else placement.points(np.array([[0, 0], [3, 2]])).tolist()


def test_scale_and_tie_point_place_corners_of_pixels():
    assert corners(SCALE, TIE, KEYS) == [[5e5, 5e6], [5e5 + 1.5, 5e6 - 1]]
    # The tie point may be any pixel.
    assert corners(SCALE, (33922, "d", 6, (10.0, 20.0, 0.0, 5e5, 5e6, 0.0), True)) == [
        [5e5 - 5, 5e6 + 10], [5e5 - 3.5, 5e6 + 9],
    ]  # fmt: skip


def test_where_tags_place_centres_of_pixels_corners_are_half_a_pixel_away():
    keys = (34735, "H", 12, (1, 1, 0, 2, 1025, 0, 1, 2, 3072, 0, 1, 32633), True)

    assert corners(SCALE, TIE, keys) == [[5e5 - 0.25, 5e6 + 0.25], [5e5 + 1.25, 5e6 - 0.75]]


def test_a_matrix_may_turn_the_image():
    matrix = (34264, "d", 16, (0.0, 2.0, 0.0, 100.0, 3.0, 0.0, 0.0, 200.0, *[0.0] * 8), True)

    assert corners(matrix) == [[100, 200], [104, 209]]


def test_world_files_place_the_centre_of_the_first_pixel():
    assert corners(world=b"0.5\n0\n0\n-0.5\n500000\n5000000\n") == [[499999.75, 5000000.25], [500001.25, 4999999.25]]
    assert corners(world=b"not numbers") is None


def test_what_says_nothing_of_the_place_has_none():
    assert corners(SCALE) is None
    assert corners(TIE, KEYS) is None


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ((1, 1, 0, 1, 3072, 0, 1, 32633), 32633),
        ((1, 1, 0, 1, 2048, 0, 1, 4326), 4326),
        ((1, 1, 0, 2, 2048, 0, 1, 4326, 3072, 0, 1, 32633), 32633),
        ((1, 1, 0, 1, 3072, 0, 1, 32767), None),  # one that the file describes itself
        ((1, 1, 0, 1, 3072, 34737, 7, 0), None),
        ((), None),
    ],
)
def test_the_code_of_the_coordinate_system(keys, code):
    tags: Any = (SCALE, TIE, (34735, "H", len(keys), keys, True))
    placement = placement_of(Georeference(tags))

    assert placement is not None
    assert placement.epsg == code
