import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from pixelwise.datasets.reading.images import load_image
from pixelwise.datasets.reading.plain_png import read_plain_png
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError

LIMIT = 100_000_000


def encoded(pixels: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", **options)
    return stream.getvalue()


def with_chunk(content: bytes, kind: bytes, data: bytes) -> bytes:
    """A chunk right after the header."""
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return content[:33] + chunk + content[33:]


def reading_of(content: bytes, tmp_path: Path, limit: int = LIMIT) -> np.ndarray | None:
    path = tmp_path / "image.png"
    path.write_bytes(content)
    return read_plain_png(path, max_pixels=limit)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (64, 33), (33, 64)])
@pytest.mark.parametrize("level", [0, 6, 9])
def test_the_pixels_are_those_that_were_saved(size: tuple[int, int], level: int, tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    pixels[:, : size[1] // 2] = pixels[:1, :1]  # flat on the left, so that the encoder chooses other filters
    found = reading_of(encoded(pixels, compress_level=level), tmp_path)
    assert found is not None
    assert np.array_equal(found, pixels)
    assert found.flags.writeable


def test_texts_and_colour_profiles_change_no_pixel(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    pixels = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    about = PngImagePlugin.PngInfo()
    about.add_text("Comment", "a photo", zip=True)
    about.add_itxt("Author", "Ångström")
    content = encoded(pixels, pnginfo=about, dpi=(300, 300))
    content = with_chunk(content, b"gAMA", struct.pack(">I", 45455))
    content = with_chunk(content, b"sRGB", b"\0")
    content = with_chunk(content, b"iCCP", b"a broken profile\0\0" + zlib.compress(b"?"))
    found = reading_of(content, tmp_path)
    assert capfd.readouterr() == ("", "")
    assert found is not None
    assert np.array_equal(found, np.array(Image.open(tmp_path / "image.png")))


def other_files() -> dict[str, bytes]:
    pixels = np.random.default_rng(2).integers(0, 256, (20, 30, 3), np.uint8)
    plain, image = encoded(pixels), Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "grey": encoded(pixels[..., 0]),
        "palette": encoded(np.asarray(image.quantize(8).convert("L"))),
        "alpha": encoded(np.dstack([pixels, pixels[..., 0]])),
        "16 bits": encoded(pixels[..., 0].astype(np.uint16) * 200),
        "transparent colour": encoded(pixels, transparency=(1, 2, 3)),
        "turned": encoded(pixels, exif=exif),
        "animated": encoded(pixels, save_all=True, append_images=[image.rotate(180)]),
        "interlaced": plain[:28] + b"\1" + struct.pack(">I", zlib.crc32(plain[12:28] + b"\1")) + plain[33:],
        "trailing bytes": plain + b"\0",
        "an unknown chunk": with_chunk(plain, b"abCd", b"?"),
        "JPEG": b"\xff\xd8\xff" + plain,
        "nothing": b"",
        "cut in the header": plain[:30],
        "cut in a chunk's head": plain[:-6],
    }


@pytest.mark.parametrize("kind", other_files())
def test_what_is_not_plain_is_left_to_pillow(kind: str, tmp_path: Path):
    assert reading_of(other_files()[kind], tmp_path) is None


def test_more_pixels_than_allowed_are_not_decoded(tmp_path: Path):
    content = encoded(np.zeros((20, 30, 3), np.uint8))
    assert reading_of(content, tmp_path, 600) is not None
    assert reading_of(content, tmp_path, 599) is None
    with pytest.raises(DataError) as caught:
        load_image(tmp_path / "image.png", Reading(max_pixels=599))
    assert caught.value.code == "D120"


def test_a_rotation_is_applied_wherever_the_file_says_it(tmp_path: Path):
    pixels = np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise
    content = encoded(pixels, exif=exif)
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    behind = content[:start] + content[end:-12] + content[start:end] + content[-12:]
    for name, written in (("before", content), ("behind", behind)):
        (tmp_path / f"{name}.png").write_bytes(written)
        found, facts = load_image(tmp_path / f"{name}.png", Reading())
        assert facts.orientation == 6
        assert np.array_equal(found, np.rot90(pixels, -1))


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), repaired=st.booleans())
def test_a_damaged_file_is_never_read_as_something_else(
    seed: int, repaired: bool, tmp_path_factory: pytest.TempPathFactory
):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 40, 2)
    content = bytearray(encoded(rng.integers(0, 256, (height, width, 3), np.uint8), compress_level=int(seed % 10)))
    start = content.index(b"IDAT")
    length = int.from_bytes(content[start - 4 : start], "big")
    content[start + 4 + int(rng.integers(length))] ^= 1 << int(rng.integers(8))
    if repaired:
        # As if the bytes had been wrong before they were written.
        end = start + 4 + length
        content[end : end + 4] = struct.pack(">I", zlib.crc32(content[start:end]))
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    path.write_bytes(content)

    found = read_plain_png(path, max_pixels=LIMIT)

    if found is not None:
        with Image.open(path) as image:
            assert np.array_equal(found, np.array(image))
