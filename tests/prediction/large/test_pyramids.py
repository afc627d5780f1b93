from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelwise.prediction.large import pyramids as module
from pixelwise.prediction.large.pyramids import Look, MaskPyramid, level_sizes

TAGS = (
    (33550, 12, 3, (0.5, 0.5, 0.0), True),
    (33922, 12, 6, (0.0, 0.0, 0.0, 5e5, 5e6, 0.0), True),
    (34735, 3, 8, (1, 1, 0, 1, 3072, 0, 1, 32633), True),
)
COLORS = np.random.default_rng(5).integers(0, 256, (256, 3)).astype(np.uint8)


def written(path: Path, values: np.ndarray, look: Look, rows: int = 100, tags=TAGS) -> Path:
    with contextlib.closing(MaskPyramid(values.shape[:2], look, path.parent)) as pyramid:
        for first in range(0, len(values), rows):
            pyramid.add(values[first : first + rows])
        pyramid.write(path, tags)
    return path


def values_of(height: int, width: int, *more: int, dtype="uint8") -> np.ndarray:
    return np.random.default_rng(4).integers(0, 5, (height, width, *more)).astype(dtype)


@pytest.mark.heavy
@pytest.mark.parametrize("rows", [1, 7, 512, 513, 2000])
def test_values_and_overviews_whatever_the_rows_come_in(tmp_path, rows):
    values = values_of(1301, 1107)
    path = written(tmp_path / "a.tif", values, Look(np.dtype(np.uint8), colors=COLORS, nodata=255), rows)

    with tifffile.TiffFile(path) as file:
        pages: list[Any] = list(file.pages)
        assert [page.shape for page in pages] == [(1301, 1107), (651, 554), (326, 277)]
        for number, page in enumerate(pages):
            assert np.array_equal(page.asarray(), values[:: 2**number, :: 2**number])
            assert int(page.subfiletype) == (1 if number else 0)
            assert page.is_tiled
            assert page.tags[42113].value == "255"
            assert np.array_equal(page.colormap // 257, COLORS.T)
        assert [pages[0].tags[code].value for code, *_ in TAGS] == [value for *_, value, _ in TAGS]
        assert not file.is_bigtiff
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("values", "look", "mode"),
    [
        (values_of(600, 30), Look(np.dtype(np.uint8)), "L"),
        (values_of(600, 30, dtype="uint16") * 9999, Look(np.dtype(np.uint16)), "I;16"),
        (values_of(600, 30, 3) * 50, Look(np.dtype(np.uint8), channels=3), "RGB"),
        (values_of(30, 30), Look(np.dtype(np.uint8), colors=COLORS), "P"),
    ],
    ids=["grey", "16 bits", "colours", "palette"],
)
def test_other_programs_read_the_values(tmp_path, values, look, mode):
    path = written(tmp_path / "a.tif", values, look, tags=())

    picture = Image.open(path)
    assert picture.mode == mode
    assert np.array_equal(np.asarray(picture), values)


def test_a_file_that_is_too_large_for_tiff_is_a_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_CLASSIC_BYTES", 100)
    values = values_of(520, 30)

    path = written(tmp_path / "a.tif", values, Look(np.dtype(np.uint8)))

    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff
        assert np.array_equal(file.pages.first.asarray(), values)


def test_a_mask_of_too_few_rows_is_not_written(tmp_path):
    with contextlib.closing(MaskPyramid((10, 5), Look(np.dtype(np.uint8)), tmp_path)) as pyramid:
        pyramid.add(values_of(9, 5))
        with pytest.raises(ValueError, match="9 rows were added; expected 10"):
            pyramid.write(tmp_path / "a.tif")
    assert list(tmp_path.iterdir()) == []


def test_overviews_end_with_a_single_tile():
    assert level_sizes((50_000, 50_000)) == [
        (50_000, 50_000), (25_000, 25_000), (12_500, 12_500), (6250, 6250), (3125, 3125), (1563, 1563), (782, 782),
        (391, 391),
    ]  # fmt: skip
    assert level_sizes((512, 100)) == [(512, 100)]
    assert level_sizes((1, 513)) == [(1, 513), (1, 257)]
