"""Interlaced PNG files as sequences of small ones, against what Pillow decodes."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from datasets.reading.regions.pngs import chunk, interlaced
from PIL import Image

from pixelwise.datasets.reading.regions.png_passes import joined_files, pass_rows
from pixelwise.datasets.reading.regions.png_strips import SIGNATURE, read_header


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("depth", "color"),
    [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (1, 3), (2, 3), (4, 3), (8, 3), (8, 4), (8, 6)],
)
def test_pixels_are_those_of_pillow(depth: int, color: int) -> None:
    for number, (height, width) in enumerate(((37, 29), (8, 8), (5, 3), (1, 1), (3, 17))):
        content = interlaced(height, width, depth, color, number)
        for rows in (1, 5, 16, 100):
            stream, passes = io.BytesIO(content), io.BytesIO()
            header = read_header(stream)
            for some in pass_rows(stream, header, rows):
                passes.write(some.tobytes())
            found = [decoded(one) for one in joined_files(passes, header, rows)]
            assert [len(one) for one in found] == [min(rows, height - top) for top in range(0, height, rows)]
            assert np.array_equal(np.concatenate(found), decoded(content))


def test_pixels_of_a_pass_lie_where_the_standard_says() -> None:
    """By hand, 5x5: the passes hold 1, 1, 2, 2, 6, 6 and 10 pixels (of 8 bits, in rows that begin with a 0)."""
    of_pass = [[1], [1], [2], [1, 1], [3], [2, 2, 2], [5, 5]]
    stored = b"".join(bytes([0, *[number] * length]) for number, rows in enumerate(of_pass, 1) for length in rows)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 5, 8, 0, 0, 0, 1))
    stream, passes = io.BytesIO(SIGNATURE + head + chunk(b"IDAT", zlib.compress(stored))), io.BytesIO()
    header = read_header(stream)
    passes.write(b"".join(some.tobytes() for some in pass_rows(stream, header, 2)))
    (found,) = (decoded(one) for one in joined_files(passes, header, 8))
    assert found.tolist() == [[1, 6, 4, 6, 2], [7] * 5, [5, 6, 5, 6, 5], [7] * 5, [3, 6, 4, 6, 3]]
