"""PNG files as sequences of small ones, against rows that were restored by hand and against Pillow."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from datasets.reading.regions.pngs import chunk, chunks, flipped
from PIL import Image, PngImagePlugin

from pixelwise.datasets.reading.regions.png_strips import SIGNATURE, read_header, require_pixel_data, small_files

# The kind of difference of each row, what is stored, and the row. Differences are to the previous pixel, the row above,
# their mean (rounded down), and the nearest of three neighbours.
ROWS = [
    (1, [1, 1, 1], [1, 2, 3]),
    (2, [1, 1, 1], [2, 3, 4]),
    (3, [1, 1, 1], [2, 3, 4]),
    (4, [1, 1, 1], [3, 4, 5]),
    (0, [7, 8, 9], [7, 8, 9]),
    (2, [250, 0, 0], [1, 8, 9]),
]


def header(width: int, height: int, depth: int = 8, color: int = 0, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace))


def pixels(content: bytes, rows: int) -> list[np.ndarray]:
    stream = io.BytesIO(content)
    return [np.asarray(Image.open(io.BytesIO(one))) for one in small_files(stream, read_header(stream), rows)]


@pytest.mark.parametrize("rows", [1, 2, 4, 100])
def test_rows_are_restored(rows: int) -> None:
    stored = b"".join(bytes([kind, *values]) for kind, values, _ in ROWS)
    content = SIGNATURE + header(3, 6) + chunk(b"IDAT", zlib.compress(stored)) + chunk(b"IEND", b"")
    expected = np.array([row for _, _, row in ROWS])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), expected)  # the rows above are right
    found = pixels(content, rows)
    assert [len(one) for one in found] == [min(rows, 6 - top) for top in range(0, 6, rows)]
    assert np.array_equal(np.concatenate(found), expected)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pixels_are_those_of_pillow(channels: int) -> None:
    random = np.random.default_rng(channels)
    smooth = np.cumsum(random.integers(-2, 3, (37, 29, channels)), axis=1).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(smooth.squeeze()).save(stream, "PNG")
    assert np.array_equal(np.concatenate(pixels(stream.getvalue(), 10)), smooth.squeeze())


def test_a_header_says_what_precedes_the_pixels() -> None:
    before, after = header(5, 4, 4, 3, 1), chunk(b"IDAT", b"")
    colors = chunk(b"PLTE", bytes(range(6))) + chunk(b"tRNS", b"\1")
    found = read_header(io.BytesIO(SIGNATURE + before + chunk(b"tEXt", b"Comment\0PLTE") + colors + after))
    assert (found.size, found.depth, found.color_type, found.interlaced) == ((4, 5), 4, 3, True)
    assert (found.bits, found.row_bytes, found.colors, found.frames) == (4, 3, colors, 1)
    # An animation of two frames, whose first one is the image, and one whose frames follow the image.
    two, frame = chunk(b"acTL", struct.pack(">II", 2, 0)), chunk(b"fcTL", bytes(26))
    for extra, frames in ((two + frame, 2), (two, 3), (chunk(b"acTL", bytes(8)), 1)):
        assert read_header(io.BytesIO(SIGNATURE + before + extra + after)).frames == frames


@pytest.mark.parametrize(
    "content",
    [
        b"GIF89a",
        SIGNATURE,
        SIGNATURE + chunk(b"IDAT", b""),
        SIGNATURE + header(5, 4, 3) + chunk(b"IDAT", b""),
        SIGNATURE + header(5, 4, 8, 5) + chunk(b"IDAT", b""),
        SIGNATURE + header(5, 4)[:-1] + b"\0" + chunk(b"IDAT", b""),
        SIGNATURE + header(5, 4) + struct.pack(">I", 1 << 30) + b"PLTE",
    ],
)
def test_damaged_headers_are_told(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"its? |IHDR"):
        read_header(io.BytesIO(content))


def test_missing_and_damaged_pixels_are_told() -> None:
    rows = np.random.default_rng(0).integers(0, 256, (4, 6), np.uint8)
    rows[:, 0] = 0
    whole, short = zlib.compress(rows.tobytes()), zlib.compress(rows[:-1].tobytes())
    unknown = zlib.compress(np.where(np.arange(6) == 0, 5, rows).astype(np.uint8).tobytes())
    for compressed in (short, whole[:12], whole[:-2], whole[:-1] + bytes([whole[-1] ^ 1]), unknown, b""):
        content = SIGNATURE + header(5, 4) + chunk(b"IDAT", compressed) + chunk(b"IEND", b"")
        with pytest.raises((ValueError, zlib.error)):
            pixels(content, 2)
    # More rows than the header says are none of the image.
    content = SIGNATURE + header(5, 2) + chunk(b"IDAT", whole) + chunk(b"IEND", b"")
    assert np.array_equal(np.concatenate(pixels(content, 2)), rows[:2, 1:])


def test_chunks_are_compared_with_their_checksums_in_the_words_of_pillow() -> None:
    rows = bytes([0, 1, 2, 3]) * 40
    data = zlib.compress(rows, 0)
    text, other = chunk(b"tEXt", b"Comment\0text" * 9000), chunk(b"IDAT", data[100:])
    content = SIGNATURE + header(3, 40) + text + chunk(b"IDAT", data[:100]) + chunk(b"IDAT", b"") + other
    assert len(pixels(content, 7)) == 6
    for kind, start, length in chunks(content):
        damaged = flipped(content, start + length)
        if kind == b"IDAT":  # which Pillow does not compare
            message = "broken PNG file (bad header checksum in b'IDAT')"
        else:
            with pytest.raises(SyntaxError) as theirs:
                PngImagePlugin.PngImageFile(io.BytesIO(damaged))
            message = str(theirs.value)
        with pytest.raises(ValueError) as ours:
            pixels(damaged, 7)
        assert str(ours.value) == message


def test_the_checksum_of_the_pixels_is_compared_in_a_chunk_of_its_own() -> None:
    data = zlib.compress(bytes([0, 1, 2, 3]) * 40, 0)
    wrong = flipped(data, len(data) - 1)
    for compressed, right in ((data, True), (wrong, False)):
        parts = chunk(b"IDAT", compressed[:-4]) + chunk(b"IDAT", compressed[-4:])
        content = SIGNATURE + header(3, 40) + parts + chunk(b"IEND", b"")
        if right:
            assert len(pixels(content, 40)) == 1
        else:
            with pytest.raises(zlib.error, match="data check"):
                pixels(content, 40)


def test_a_header_cannot_claim_more_than_its_data_can_hold() -> None:
    """1000 compressed bytes are at most 1,032,000: as many pixels of 8 bits, or 8 times as many of 1 bit."""
    for width, height, depth, color, fits in (
        (1032, 1000, 8, 0, True),
        (1032, 1001, 8, 0, False),
        (8256, 1000, 1, 0, True),
        (8257, 1000, 1, 0, False),
        (172, 1000, 16, 2, True),
        (173, 1000, 16, 2, False),
        (1 << 30, 1 << 30, 8, 0, False),
    ):
        parts = chunk(b"IDAT", bytes(400)) + chunk(b"IDAT", bytes(600))
        stream = io.BytesIO(SIGNATURE + header(width, height, depth, color) + parts + chunk(b"tEXt", bytes(9999)))
        found = read_header(stream)
        position = stream.tell()
        if fits:
            require_pixel_data(stream, found)
        else:
            with pytest.raises(ValueError, match="1000 bytes of compressed pixels are too few"):
                require_pixel_data(stream, found)
        assert stream.tell() == position
    # A chunk that claims to be longer than its file holds no more than that.
    stream = io.BytesIO(SIGNATURE + header(1032, 10) + struct.pack(">I", 1 << 30) + b"IDAT" + bytes(9))
    with pytest.raises(ValueError, match="its 9 bytes"):
        require_pixel_data(stream, read_header(stream))


def test_deflate_repeats_at_most_1032_times() -> None:
    """The longest repetition, of 258 bytes, takes two bits or more: zeros come close to the limit and stay below."""
    size = 10_000_000
    assert 1020 < size / len(zlib.compress(bytes(size), 9)) < 1032
