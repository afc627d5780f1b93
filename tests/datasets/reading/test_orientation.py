"""Where files state their orientation, and how pixels are turned; see test_normal_form.py for whole files."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from pictures import as_stored, exif_block, png, xmp_packet
from PIL import Image

from pixelwise.datasets.reading.decoding import image_sizes
from pixelwise.datasets.reading.images import load_image
from pixelwise.datasets.reading.orientation import (
    of_tiff_tags,
    png_orientation,
    stated_orientation,
    turned_back,
    turned_upright,
    upright_size,
    webp_orientation,
)
from pixelwise.datasets.samples import Reading

UPRIGHT = np.arange(24).reshape(4, 6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [0, 3])
def test_stored_pixels_are_turned_upright_and_back(orientation: int, channels: int):
    upright = np.dstack([UPRIGHT] * channels) if channels else UPRIGHT
    stored = as_stored(upright, orientation)
    assert np.array_equal(turned_upright(stored, orientation), upright)
    assert np.array_equal(turned_back(upright, orientation), stored)
    assert upright_size(stored.shape[:2], orientation) == (4, 6)


def test_a_photo_of_a_camera_held_upright_is_turned_clockwise():
    assert turned_upright(np.array([[1, 2, 3]]), 6).tolist() == [[1], [2], [3]]
    assert turned_upright(np.array([[1], [2]]), 6).tolist() == [[2, 1]]
    assert turned_upright(np.array([[1, 2]]), 8).tolist() == [[2], [1]]


def of_png(*chunks: tuple[bytes, bytes], behind: bool = False) -> int:
    pixels = np.zeros((2, 3, 3), np.uint8)
    content = png(pixels, kind=2, **{"behind" if behind else "before": chunks})
    found = png_orientation(io.BytesIO(content))
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        assert stated_orientation(image) == found
    return found


def profile(block: bytes) -> bytes:
    return f"\nexif\n{len(block):8}\n{block.hex()}\n".encode()


XMP_KEY = b"XML:com.adobe.xmp\0"
PLACES = {
    "eXIf": lambda n: (b"eXIf", exif_block(n)),
    "eXIf with JPEG's prefix": lambda n: (b"eXIf", b"Exif\0\0" + exif_block(n)),
    "text": lambda n: (b"tEXt", b"Raw profile type exif\0" + profile(b"Exif\0\0" + exif_block(n))),
    "compressed text": lambda n: (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile(exif_block(n)))),
    "old text": lambda n: (b"zTXt", b"Raw profile type APP1\0\0" + zlib.compress(profile(exif_block(n)))),
    "XMP": lambda n: (b"iTXt", XMP_KEY + b"\0\0\0\0" + xmp_packet(n)),
    "compressed XMP": lambda n: (b"iTXt", XMP_KEY + b"\1\0\0\0" + zlib.compress(xmp_packet(n, as_element=True))),
    "XMP as text": lambda n: (b"tEXt", b"Raw profile type xmp\0" + profile(xmp_packet(n))),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("behind", [False, True])
def test_every_place_in_a_png_file_counts(place: str, behind: bool, tmp_path: Path):
    assert of_png(PLACES[place](6), behind=behind) == 6
    where = {"behind" if behind else "before": (PLACES[place](6),)}
    (tmp_path / "a.png").write_bytes(png(np.zeros((2, 3, 3), np.uint8), kind=2, **where))
    pixels, facts = load_image(tmp_path / "a.png", Reading())
    assert (pixels.shape, facts.orientation) == ((3, 2, 3), 6)
    assert image_sizes(tmp_path / "a.png") == ((2, 3), (3, 2))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_exif_wins_over_xmp_and_what_is_damaged_says_nothing():
    assert of_png(PLACES["XMP"](3), PLACES["eXIf"](6)) == 6
    assert of_png(PLACES["XMP"](3), (b"eXIf", b"MM\0*\xff\xff\xff\xff")) == 3
    assert of_png(PLACES["XMP"](3), PLACES["eXIf"](0)) == 3
    assert of_png(PLACES["eXIf"](9)) == 1
    assert of_png((b"tEXt", b"Raw profile type exif\0\nexif\n4\nnot hexadecimal")) == 1
    assert of_png((b"tEXt", b'Comment\0tiff:Orientation="6"')) == 1


@pytest.mark.parametrize("quote", ["'", '"'])
def test_xmp_in_any_notation(quote: str):
    packet = f"<rdf:Description tiff:Orientation = {quote}8{quote}/>"
    assert of_tiff_tags(None, packet.encode()) == 8
    assert of_tiff_tags(None, packet) == 8
    assert of_tiff_tags(None, tuple(packet.encode())) == 8
    assert of_tiff_tags(3, packet.encode()) == 3
    assert of_tiff_tags(0, packet.encode()) == 8
    assert of_tiff_tags("?", b"<tiff:Orientation>12</tiff:Orientation>") == 1


def webp(*chunks: tuple[bytes, bytes], flags: int) -> bytes:
    """A WebP header of 3x2 pixels followed by metadata."""
    extended = (b"VP8X", bytes([flags, 0, 0, 0]) + (2).to_bytes(3, "little") + (1).to_bytes(3, "little"))
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in (extended, *chunks)
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


@pytest.mark.parametrize(
    ("flags", "expected"),
    [(0, 1), (8, 5), (4, 7), (12, 5)],
)
def test_metadata_of_webp_files_counts_if_the_header_announces_it(flags: int, expected: int):
    chunks = ((b"XMP ", xmp_packet(7)), (b"EXIF", exif_block(5)))
    assert webp_orientation(io.BytesIO(webp(*chunks, flags=flags))) == expected


def test_a_webp_file_that_ends_early_is_upright():
    content = webp((b"EXIF", exif_block(5)), flags=8)
    for length in range(len(content) - len(exif_block(5)) + 8):
        assert webp_orientation(io.BytesIO(content[:length])) == 1


def test_what_a_program_changed_in_a_pillow_image_counts():
    with Image.open(io.BytesIO(png(np.zeros((2, 3), np.uint8), kind=0, before=(PLACES["eXIf"](6),)))) as image:
        image.load()
        assert stated_orientation(image) == 6
        image.getexif()[274] = 3
        assert stated_orientation(image) == 3
        del image.getexif()[274]
        assert stated_orientation(image) == 1
