"""PNG images in bands, against the same files read whole."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from datasets.reading.regions.pngs import in_rows, interlaced
from PIL import Image

from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.reading.orientation import turned_upright
from pixelwise.datasets.reading.regions.png_images import StoredPng, image_bands, stored_png_image
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError

DEEP = Reading(input_range=(0, 65535), alpha="black")


def bands(path: Path, reading: Reading, rows: int) -> list[np.ndarray]:
    stored = stored_png_image(path, reading)
    assert stored is not None
    return list(image_bands(path, reading, rows, io.BytesIO() if stored.interlaced else None))


@pytest.mark.parametrize(
    ("depth", "color", "key"),
    [
        (1, 0, b""), (2, 0, b"\0\1"), (4, 0, b""), (8, 0, b"\0\7"), (16, 0, b"\0\7"), (8, 2, b""), (8, 2, bytes(6)),
        (16, 2, b""), (16, 2, bytes(6)), (1, 3, b""), (4, 3, b"\0\x80"), (8, 3, b"\0\x80"), (8, 4, b""), (16, 4, b""),
        (8, 6, b""), (16, 6, b""),
    ],
)  # fmt: skip
def test_bands_are_the_image_cut(depth: int, color: int, key: bytes, tmp_path: Path) -> None:
    contents = [in_rows(37, 29, depth, color, key), *([] if key else [interlaced(37, 29, depth, color)])]
    for content in contents:
        (tmp_path / "a.png").write_bytes(content)
        found = bands(tmp_path / "a.png", DEEP, 10)
        assert [len(band) for band in found] == [10, 10, 10, 7]
        assert np.array_equal(np.concatenate(found), read_image(tmp_path / "a.png", DEEP))


def test_a_turned_image_is_stored_as_it_says(tmp_path: Path) -> None:
    image = Image.fromarray(np.arange(60, dtype=np.uint8).reshape(4, 5, 3))
    exif = image.getexif()
    exif[274] = 6
    image.save(tmp_path / "a.png", exif=exif)
    assert stored_png_image(tmp_path / "a.png", Reading()) == StoredPng((4, 5), 6, False)
    assert stored_png_image(tmp_path / "a.png", Reading(exif="ignore")) == StoredPng((4, 5), 1, False)
    found = np.concatenate(bands(tmp_path / "a.png", Reading(), 3))
    assert np.array_equal(turned_upright(found, 6), read_image(tmp_path / "a.png", Reading()))


def test_what_is_said_of_files_that_are_not_read(tmp_path: Path) -> None:
    content = in_rows(30, 20, 8, 2)
    (tmp_path / "cut.png").write_bytes(content[:-400])
    (tmp_path / "a.png").write_bytes(content)
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "a.jpg")
    assert stored_png_image(tmp_path / "a.jpg", Reading()) is None
    with pytest.raises(DataError, match=r"cut\.png: truncated or damaged PNG file") as damaged:
        bands(tmp_path / "cut.png", Reading(), 10)
    with pytest.raises(DataError, match=r"0\.0 million pixels") as large:
        stored_png_image(tmp_path / "a.png", Reading(max_pixels=599))
    assert (damaged.value.code, large.value.code) == ("D101", "D120")
    (tmp_path / "deep.png").write_bytes(in_rows(4, 4, 16, 2))
    with pytest.raises(DataError, match="the image has uint16 values") as deep:
        bands(tmp_path / "deep.png", Reading(), 10)
    assert deep.value.code == "D104"
