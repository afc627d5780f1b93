"""BMP files hold as many bits per pixel as their header says, whatever their palette looks like."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.reading.decoding import image_sizes
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.reading.mask_values import load_mask
from pixelwise.datasets.samples import Reading

# How many colours a palette has, and how they begin.
PALETTES = ("black and white", "white and black", "equal to the index", "evenly spaced", "coloured")


def palette_of(kind: str, number: int, seed: int) -> np.ndarray:
    index = np.arange(number)
    if kind == "coloured":
        return np.random.default_rng(seed).integers(0, 256, (number, 3))
    grey = {
        "black and white": index * 255,
        "white and black": 255 - index * 255,
        "equal to the index": index,
        "evenly spaced": index * 255 // max(1, number - 1),
    }[kind]
    return np.repeat(np.clip(grey, 0, 255)[:, None], 3, axis=1)


def bmp(indices: np.ndarray, bits: int, palette: np.ndarray, *, oldest: bool, downwards: bool, run: bool) -> bytes:
    """A BMP file, written by hand: with the header of OS/2 or of Windows, plain or as runs of one pixel."""
    height, width = indices.shape
    rows = indices if downwards else indices[::-1]
    if run:
        # Half a byte per pixel of a run, of which a run of one uses the upper half.
        value = {4: lambda index: index << 4, 8: lambda index: index}[bits]
        data = b"".join(bytes(b for i in row for b in (1, value(int(i)))) + b"\0\0" for row in rows) + b"\0\1"
    else:
        digits = ["".join(f"{int(index):0{bits}b}" for index in row) for row in rows]
        length = (width * bits + 31) // 32 * 4
        data = b"".join(
            bytes(int(text[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(text), 8)).ljust(length, b"\0")
            for text in digits
        )
    entries = b"".join(bytes(int(c) for c in color[::-1]) + (b"" if oldest else b"\0") for color in palette)
    if oldest:
        header = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        kind = (0 if not run else 2 if bits == 4 else 1, len(data), 0, 0, len(palette), 0)
        header = struct.pack("<IiiHHIIiiII", 40, width, -height if downwards else height, 1, bits, *kind)
    start = 14 + len(header) + len(entries)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + entries + data


@st.composite
def bitmaps(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, bytes]:
    bits = draw(st.sampled_from([1, 4, 8]))
    oldest = draw(st.booleans())
    run = bits > 1 and not oldest and draw(st.booleans())
    # The oldest header has no number of colours.
    number = 1 << bits if oldest else draw(st.sampled_from([1, 2, 3, 16, 17, 256]).filter(lambda n: n <= 1 << bits))
    palette = palette_of(draw(st.sampled_from(PALETTES)), number, draw(st.integers(0, 9)))
    height, width = draw(st.integers(1, 6)), draw(st.integers(1, 20))
    indices = np.random.default_rng(draw(st.integers(0, 99))).integers(0, number, (height, width))
    downwards = not oldest and not run and draw(st.booleans())
    return indices, palette, bmp(indices, bits, palette, oldest=oldest, downwards=downwards, run=run)


@settings(max_examples=150, deadline=None)
@given(bitmaps())
def test_masks_are_indices_and_images_their_colours(
    tmp_path_factory: pytest.TempPathFactory, file: tuple[np.ndarray, np.ndarray, bytes]
):
    indices, palette, content = file
    path: Path = tmp_path_factory.getbasetemp() / "a.bmp"
    path.write_bytes(content)
    assert image_sizes(path)[0] == indices.shape
    assert load_mask(path, LabelTable(), max_pixels=1000).values.tolist() == indices.tolist()
    assert read_image(path, Reading()).tolist() == palette[indices].tolist()


def test_two_colours_in_bytes_are_read_as_bytes(tmp_path: Path):
    indices = np.array([[0, 1, 1, 0, 1], [1, 0, 0, 0, 1]])
    black_and_white = palette_of("black and white", 2, 0)
    path = tmp_path / "a.bmp"
    path.write_bytes(bmp(indices, 8, black_and_white, oldest=False, downwards=False, run=False))
    mask = load_mask(path, LabelTable(), max_pixels=1000)
    assert mask.values.tolist() == indices.tolist()
    assert mask.encoding == "palette BMP"
