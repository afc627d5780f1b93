import io
import os
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from pictures import png
from PIL import Image

from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.reading.decoding import decode
from pixelwise.datasets.reading.images import from_pillow, read_image
from pixelwise.datasets.reading.mask_values import load_mask
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError

LIMIT = 100_000_000


def png_header(width: int, height: int) -> bytes:
    """A valid PNG of 1-bit pixels: as small as a bomb can be."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height), 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "GIF", "JPEG"])
def test_every_format_is_recognised_by_content(tmp_path: Path, picture: np.ndarray, kind: str):
    path = tmp_path / "image.dat"
    Image.fromarray(picture).save(path, kind, **({"lossless": True} if kind == "WEBP" else {}))
    decoded = decode(path, max_pixels=LIMIT)
    assert decoded.format == kind
    assert decoded.image.size == (8, 6)
    assert decoded.lossless == (kind != "JPEG")
    if kind in ("PNG", "BMP", "TIFF", "WEBP"):
        assert np.array_equal(np.asarray(decoded.image.convert("RGB")), picture)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("kind", ["plain", "extended", "alpha", "animated"])
def test_a_lossy_webp_is_not_lossless(tmp_path: Path, picture: np.ndarray, lossless: bool, kind: str):
    image = Image.fromarray(picture)
    options: dict[str, object] = {"lossless": lossless}
    if kind == "extended":
        options["xmp"] = b"<x/>"
    elif kind == "animated":
        options |= {"save_all": True, "append_images": [image.rotate(180)]}
    elif kind == "alpha":
        image.putalpha(Image.fromarray(picture[..., 0]))
    image.save(tmp_path / "a.webp", **options)
    assert decode(tmp_path / "a.webp", max_pixels=LIMIT).lossless == lossless


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_d101_with_its_size(tmp_path: Path, kind: str, share: float):
    stream = io.BytesIO()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).save(stream, kind)
    data = stream.getvalue()[: int(len(stream.getvalue()) * share)]
    path = tmp_path / "cut.png"
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"cut\.png: .*\b{kind} .*\({len(data)} bytes\)") as caught:
        decode(path, max_pixels=LIMIT)
    assert caught.value.code == "D101"


def test_a_damaged_png_never_ends_in_anything_but_d101(tmp_path: Path, picture: np.ndarray):
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    good, rng = stream.getvalue(), np.random.default_rng(1)
    path = tmp_path / "a.png"
    for _ in range(150):
        data = bytearray(good)
        for position in rng.integers(8, len(data), 3):
            data[position] = rng.integers(256)
        path.write_bytes(data)
        try:
            decode(path, max_pixels=LIMIT)
        except DataError as error:
            assert error.code in ("D101", "D120")  # noqa: PT017


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", r"\(0 bytes\)"),
        (b"<html><body>404</body>", r"but a web page .* \(22 bytes\)"),
        (b"\x00\x01\x02", r"`\\x00\\x01\\x02`"),
        (b"\xff", r"\(1 bytes\)"),
    ],
)
def test_what_is_no_image_is_d102_and_says_how_it_starts(tmp_path: Path, content: bytes, found: str):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=found) as caught:
        decode(path, max_pixels=LIMIT)
    assert caught.value.code == "D102"


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"<html>", "web page"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"8BPS\0\1", "Photoshop"),
        (b"%PDF-1.4", "PDF"),
        (b"\x93NUMPY\1\0", "data.channels"),
    ],
)
def test_other_well_known_files_get_a_hint(tmp_path: Path, content: bytes, hint: str):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        decode(path, max_pixels=LIMIT)
    assert hint in f"{caught.value.message} {caught.value.help}"


@pytest.mark.heavy
def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(30000, 30000))
    assert path.stat().st_size < 150_000
    with pytest.raises(DataError, match=r"30000x30000.*900\.0 million.*data\.max_pixels.*100\.0 million") as caught:
        decode(path, max_pixels=LIMIT)
    assert caught.value.code == "D120"
    assert "data.max_pixels=900000000" in caught.value.help


@pytest.mark.parametrize("lossless", [True, False])
def test_webp_is_refused_by_its_header_alone(tmp_path: Path, picture: np.ndarray, lossless: bool):
    path = tmp_path / "a.webp"
    Image.fromarray(picture).save(path, lossless=lossless)
    path.write_bytes(path.read_bytes()[:32])  # nothing left to decode
    with pytest.raises(DataError) as caught:
        decode(path, max_pixels=47)
    assert caught.value.code == "D120"


def test_pillows_own_limit_neither_warns_nor_refuses_nor_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    for kind in ("PNG", "TIFF", "GIF", "WEBP"):
        path = tmp_path / f"a.{kind.lower()}"
        Image.new("L", (30, 30)).save(path, kind)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert decode(path, max_pixels=LIMIT).image.size == (30, 30)
    assert Image.MAX_IMAGE_PIXELS == 20


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_the_first_of_several_frames_is_taken(tmp_path: Path, kind: str):
    path = tmp_path / "a"
    frames = [Image.new("RGB", (4, 3), color) for color in ("red", "blue")]
    frames[0].save(
        path, kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
    )
    decoded = decode(path, max_pixels=LIMIT)
    assert decoded.animated
    assert decoded.image.convert("RGB").getpixel((0, 0)) == (255, 0, 0)


def test_a_named_pipe_is_not_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: .*named pipe") as caught:
        decode(tmp_path / "a.png", max_pixels=LIMIT)
    assert caught.value.code == "D131"


def test_a_missing_file_and_a_link_to_itself_are_d131(tmp_path: Path):
    (tmp_path / "loop.png").symlink_to("loop.png")
    for name in ("gone.png", "loop.png"):
        with pytest.raises(DataError, match=f"{name}: ") as caught:
            decode(tmp_path / name, max_pixels=LIMIT)
        assert caught.value.code == "D131"


def test_permission_denied_is_d131(tmp_path: Path, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.png"
    Image.fromarray(picture).save(path)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    # As root, a file without permissions still opens.
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(DataError, match=r"a\.png: .*Permission denied") as caught:
        decode(path, max_pixels=LIMIT)
    assert caught.value.code == "D131"


def test_threads_decode_the_same_as_one(tmp_path: Path):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (20, 30, 3), np.uint8) for _ in range(8)]
    for number, one in enumerate(pictures):
        Image.fromarray(one).save(tmp_path / f"{number}.png")
    wrong = []

    def work(number: int) -> None:
        for _ in range(5):
            decoded = decode(tmp_path / f"{number}.png", max_pixels=LIMIT)
            if not np.array_equal(np.asarray(decoded.image), pictures[number]):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_any_grey_value_of_any_number_of_bits_can_stand_for_transparency(tmp_path: Path, bits: int):
    path, step = tmp_path / "a.png", 255 // ((1 << bits) - 1)
    values = np.arange(1 << bits).reshape(2, -1) if bits > 1 else np.array([[0, 1], [1, 0]])
    for key in range(1 << bits):
        path.write_bytes(png(values, kind=0, bits=bits, before=((b"tRNS", key.to_bytes(2, "big")),)))
        visible = np.where(values == key, 0, values * step)
        assert read_image(path, Reading(alpha="black"))[..., 0].tolist() == visible.tolist()
        assert from_pillow(Image.open(path), Reading(alpha="black"))[..., 0].tolist() == visible.tolist()
        assert read_image(path, Reading())[..., 0].tolist() == (values * step).tolist()
        opaque = load_mask(path, LabelTable(from_alpha=True), max_pixels=1000).values
        assert opaque.tolist() == np.where(values == key, 0, 255).tolist()
        assert load_mask(path, LabelTable(), max_pixels=1000).values.tolist() == values.tolist()


def test_indices_without_a_palette_are_d101(tmp_path: Path):
    path = tmp_path / "a.png"
    image = Image.new("P", (3, 2))
    image.putpalette([0, 0, 0, 9, 9, 9])
    image.save(path)
    content = path.read_bytes()
    place = content.index(b"PLTE") - 4
    length = int.from_bytes(content[place : place + 4], "big")
    path.write_bytes(content[:place] + content[place + 12 + length :])
    for read in (
        lambda: read_image(path, Reading()),
        lambda: load_mask(path, LabelTable(ids={0: 0}), max_pixels=99, exif="apply"),
    ):
        with pytest.raises(DataError, match="its palette is missing") as caught:
            read()
        assert caught.value.code == "D101"
