"""Rectangles of TIFF pages against the page that tifffile decodes whole."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from pixelwise.datasets.reading.regions import segments
from pixelwise.datasets.reading.regions.segments import PageSegments, Rectangle, SegmentCache
from pixelwise.errors import DataError

PLACES = [Rectangle(0, 0, 70, 90), Rectangle(0, 0, 1, 1), Rectangle(69, 89, 1, 1), Rectangle(13, 17, 40, 50),
          Rectangle(16, 32, 16, 16), Rectangle(63, 0, 7, 90)]  # fmt: skip


def values_of(shape=(70, 90, 3), dtype="uint8") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 250, shape).astype(dtype)


def rectangles(path: Path, most: int = 1 << 20, places=PLACES) -> list[np.ndarray]:
    with tifffile.TiffFile(path) as file:
        page = PageSegments(path, file.pages.first, SegmentCache(most))
        return [page.read(where) for where in places]


def cut(values: np.ndarray, places=PLACES) -> list[np.ndarray]:
    return [values[one.top : one.bottom, one.left : one.right] for one in places]


def assert_equal(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


STORED = [
    {"tile": (16, 32)},
    {"tile": (16, 32), "compression": "zlib", "predictor": True},
    {"tile": (16, 16), "compression": "lzw"},
    {"tile": (32, 32), "compression": "zstd", "bigtiff": True},
    {"rowsperstrip": 7},
    {"rowsperstrip": 7, "compression": "zlib"},
    {"rowsperstrip": 70, "compression": "packbits"},
    {},
    {"byteorder": ">"},
    {"byteorder": ">", "compression": "zlib", "tile": (16, 16)},
]


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("options", STORED, ids=lambda options: "-".join(map(str, options.values())) or "one strip")
def test_every_rectangle_is_that_of_the_whole(tmp_path, options, dtype, planar):
    values = values_of(dtype=dtype)
    stored = values if planar == "contig" else values.transpose(2, 0, 1)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar, metadata=None, **options)

    assert_equal(rectangles(path), cut(values))


def test_bits_are_unpacked(tmp_path):
    values = values_of((70, 90)) > 100
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", metadata=None, rowsperstrip=8)

    assert_equal(rectangles(tmp_path / "a.tif"), cut(values[..., None]))


def test_tiles_that_are_not_stored_have_the_value_of_missing_data(tmp_path):
    whole = np.full((70, 90, 1), 9, np.uint16)
    tiles = [None if number in (1, 4) else np.full((16, 32), 9, np.uint16) for number in range(15)]
    whole[:16, 32:64] = whole[16:32, 32:64] = 77  # tiles 1 and 4 of three in a row
    tifffile.imwrite(
        tmp_path / "a.tif", iter(tiles), shape=(70, 90), dtype="uint16", tile=(16, 32), photometric="minisblack",
        metadata=None, extratags=[(42113, "s", 0, "77", True)],
    )  # fmt: skip

    assert_equal(rectangles(tmp_path / "a.tif"), cut(whole))


def test_a_small_cache_changes_nothing_but_the_work():
    decoded = []

    def segment(number: int):
        decoded.append(number)
        return np.zeros(10, np.uint8)

    cache = SegmentCache(20)
    for number in (1, 2, 1, 3, 1, 2):
        cache.get((0, number), lambda number=number: segment(number))

    assert decoded == [1, 2, 3, 2]  # 3 replaced 2, which was used longest ago
    assert cache.size == 20


@pytest.mark.parametrize("most", [0, 1000, 1 << 20])
def test_the_cache_never_holds_more_than_it_may_but_the_last_segment(tmp_path, most):
    values = values_of()
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", tile=(16, 16), compression="zlib", metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        cache = SegmentCache(most)
        page = PageSegments(tmp_path / "a.tif", file.pages.first, cache)
        for top, left in itertools.product(range(0, 60, 9), range(0, 80, 11)):
            assert np.array_equal(page.read(Rectangle(top, left, 9, 11)), values[top : top + 9, left : left + 11])
            assert cache.size <= max(most, 16 * 16 * 3)


def test_a_strip_that_is_too_large_is_refused_unless_it_needs_no_decoding(tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "LARGEST_SEGMENT", 70 * 90 * 3 - 1)
    values = values_of()
    options = {"photometric": "rgb", "metadata": None, "rowsperstrip": 70}
    tifffile.imwrite(tmp_path / "plain.tif", values, **options)
    tifffile.imwrite(tmp_path / "packed.tif", values, compression="zlib", **options)

    assert_equal(rectangles(tmp_path / "plain.tif"), cut(values))
    with pytest.raises(DataError, match="strips of 90x70 pixels") as caught:
        rectangles(tmp_path / "packed.tif")
    assert caught.value.code == "D121"
    assert "TILED=YES" in caught.value.help


def test_a_header_that_claims_more_rows_than_are_stored_is_damaged(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values_of(), photometric="rgb", rowsperstrip=7, metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags[257].overwrite(700)

    with pytest.raises(ValueError, match="lists 10 strips; its size needs 100"):
        rectangles(path)


def test_a_file_that_ends_early_is_damaged(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values_of(), photometric="rgb", metadata=None)
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(ValueError, match="beyond the end of the file"):
        rectangles(path)


class NotingFile(io.FileIO):
    """A file that notes which of its bytes are read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.noted: set[int] = set()

    def read(self, size: int | None = -1, /) -> bytes:
        begin = self.tell()
        content = super().read(size)
        self.noted.update(range(begin, begin + len(content)))
        return content


@pytest.mark.parametrize("options", STORED)
def test_what_is_expected_is_what_is_read(tmp_path: Path, options: dict):
    tifffile.imwrite(tmp_path / "a.tif", values_of(), **options)
    stream, expected = NotingFile(tmp_path / "a.tif"), set()

    def expect(ranges: Iterable[tuple[int, int]]) -> None:
        expected.update(place for begin, size in ranges for place in range(begin, begin + size))

    with stream, tifffile.TiffFile(stream) as file:  # type: ignore[arg-type]
        page = PageSegments(tmp_path / "a.tif", file.pages.first, SegmentCache(1 << 20), expect=expect)
        for where in PLACES[::-1]:
            stream.noted.clear()
            expected.clear()
            page.read(where)
            assert stream.noted == expected
