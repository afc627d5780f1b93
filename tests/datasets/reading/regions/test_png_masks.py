"""Rectangles of PNG masks against the mask that Pillow decodes whole."""

from __future__ import annotations

import io
import os
import struct
import threading
import zlib
from pathlib import Path

import imagecodecs
import msgspec
import numpy as np
import pytest
from datasets.reading.regions.pngs import flipped, interlaced
from PIL import Image, PngImagePlugin

from pixelwise.datasets.labels import LabelTable, table_of
from pixelwise.datasets.reading.mask_values import load_mask
from pixelwise.datasets.reading.regions import png_masks
from pixelwise.datasets.reading.regions.masks import MaskRegions
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError, ResourceError
from pixelwise.storage.cache_kinds import TILED_MASKS
from pixelwise.storage.caches import found_in_cache
from pixelwise.storage.stores.members import in_memory

SIZE = (61, 45)
RANDOM = np.random.default_rng(5)
IDS = np.kron(RANDOM.choice([0, 1, 2, 3], (13, 9)), np.ones((5, 5))).astype(np.uint8)[: SIZE[0], : SIZE[1]]
COLORS = np.stack([IDS * 80, IDS * 3, 255 - IDS], axis=2)
PLAIN, COLORED = table_of({0: 0, 1: 1, 2: 2}), table_of({}, {"#0000ff": 0, "#5003fe": 1})
ALPHA = msgspec.structs.replace(PLAIN, from_alpha=True)
BLACK_AND_WHITE = msgspec.structs.replace(PLAIN, threshold=128)


@pytest.fixture(autouse=True)
def small_tiles(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of 16 pixels, so that a small mask has many."""
    monkeypatch.setattr(png_masks, "TILE", 16)
    png_masks._digests.clear()


def image_of(name: str) -> bytes:
    """A mask in one of the encodings of PNG, whose rows are stored as all kinds of differences."""
    stream, options = io.BytesIO(), {}
    deep = IDS.astype(np.uint16) * 257
    if name in ("deep RGB", "deep RGBA", "deep LA"):
        channels = {"deep RGB": [deep] * 3, "deep RGBA": [deep, deep, deep * 0, deep * 0 + 9], "deep LA": [deep, deep]}
        return imagecodecs.png_encode(np.stack(channels[name], axis=2), level=6)
    if name.startswith("palette"):
        image = Image.fromarray(IDS, "P")
        image.putpalette([0, 0, 0, 250, 3, 7, 5, 255, 0, 9, 9, 200])
        options = {"bits": int(name[-1])} | ({"transparency": bytes([0, 255, 128, 255])} if "clear" in name else {})
    else:
        image = {
            "grey 1": lambda: Image.fromarray(IDS > 1),
            "grey 8": lambda: Image.fromarray(IDS),
            "grey 16": lambda: Image.fromarray(IDS.astype(np.uint16) * 300),
            "RGB": lambda: Image.fromarray(COLORS),
            "grey RGB": lambda: Image.fromarray(np.repeat(IDS[..., None], 3, axis=2)),
            "RGBA": lambda: Image.fromarray(np.dstack([COLORS, np.full(SIZE, 255, np.uint8)])),
            "LA": lambda: Image.fromarray(np.dstack([IDS, IDS * 60]), "LA"),
        }[name]()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def grey_of_bits(bits: int) -> bytes:
    """A grey mask of 2 or 4 bits, which Pillow does not write: rows as they are, packed by hand."""
    padded = np.pad(IDS, ((0, 0), (0, -SIZE[1] % (8 // bits))))
    shifts = np.arange(8 - bits, -1, -bits)
    packed = (padded.reshape(SIZE[0], -1, 8 // bits) << shifts).sum(axis=2).astype(np.uint8)
    rows = np.pad(packed, ((0, 0), (1, 0)))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", SIZE[1], SIZE[0], bits, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes())[:20]),
        (b"IDAT", b""),
        (b"IDAT", zlib.compress(rows.tobytes())[20:]),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


CASES = [
    *((name, PLAIN) for name in ("palette 2", "palette 4", "palette 8", "clear palette 8", "palette clear 4")),
    *((name, COLORED) for name in ("palette 8", "RGB", "RGBA", "grey 1", "deep RGB", "deep RGBA")),
    *((name, ALPHA) for name in ("palette clear 8", "LA", "deep LA")),
    *((name, PLAIN) for name in ("grey 1", "grey 2", "grey 4", "grey 8", "grey 16", "grey RGB", "RGB", "deep RGB")),
    *((name, BLACK_AND_WHITE) for name in ("RGB", "palette 8", "grey 4", "grey 1")),
]


@pytest.mark.parametrize(("name", "table"), CASES)
def test_rectangles_are_those_of_the_whole(tmp_path: Path, name: str, table: LabelTable) -> None:
    path = tmp_path / "mask.png"
    name = name.replace("clear palette", "palette clear")
    path.write_bytes(grey_of_bits(int(name[-1])) if name in ("grey 2", "grey 4") else image_of(name))
    whole = load_mask(path, table, max_pixels=10**6)
    with MaskRegions(path, table, Reading()) as regions:
        assert regions.size == SIZE
        assert [where.top for where in regions.bands()] == [0]  # 32 rows of tiles would have room in a band
        for _ in range(8):
            top, left = (int(RANDOM.integers(0, side)) for side in SIZE)
            height, width = (int(RANDOM.integers(1, side + 1)) for side in (SIZE[0] - top, SIZE[1] - left))
            found = regions.raw(Rectangle(top, left, height, width))
            expected = whole.values[top : top + height, left : left + width]
            assert found.values.dtype == expected.dtype
            assert np.array_equal(found.values, expected)
            assert (found.encoding, found.lossless, found.grey_rgb) == (whole.encoding, True, whole.grey_rgb)
            assert (found.palette is None) == (whole.palette is None)
            assert whole.palette is None or np.array_equal(found.palette, whole.palette)


@pytest.mark.parametrize(
    ("depth", "color", "table", "kinds"),
    [
        (1, 3, PLAIN, 5),
        (4, 0, PLAIN, 5),
        (8, 0, PLAIN, 1),
        (8, 2, COLORED, 5),
        (8, 4, ALPHA, 5),
        (16, 0, PLAIN, 5),
        (16, 2, BLACK_AND_WHITE, 5),
    ],
)
def test_interlaced_masks_are_those_of_the_whole(
    tmp_path: Path, depth: int, color: int, table: LabelTable, kinds: int
) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(interlaced(*SIZE, depth, color, kinds=kinds))
    whole = load_mask(path, table, max_pixels=10**6).values
    with MaskRegions(path, table, Reading()) as regions:
        for where in (Rectangle(0, 0, *SIZE), Rectangle(13, 7, 20, 30), Rectangle(60, 44, 1, 1)):
            found = regions.raw(where).values
            assert np.array_equal(found, whole[where.top : where.bottom, where.left : where.right])
    (entry,) = (one.path for one in found_in_cache() if one.kind is TILED_MASKS)
    assert not (entry / png_masks._PASSES).exists()
    path.write_bytes(path.read_bytes()[:-30])
    assert refusal(path, table) == "D101"


def test_a_header_that_claims_more_pixels_than_its_data_has_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100,000 x 10,000 pixels of 1 bit are 125 MB, of which 1 kB of compressed bytes is at most 1 MB."""
    monkeypatch.setattr(png_masks, "strip_files", None)  # nothing is decoded
    path, content = tmp_path / "mask.png", grey_of_bits(2)
    claim = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 10_000, 1, 0, 0, 0, 0)
    path.write_bytes(content[:12] + claim + struct.pack(">I", zlib.crc32(claim)) + content[33:])
    assert refusal(path) == "D101"


def test_a_damaged_chunk_is_the_same_error_as_for_the_whole(tmp_path: Path) -> None:
    path, text = tmp_path / "mask.png", PngImagePlugin.PngInfo()
    text.add_text("Comment", "which is damaged")
    Image.fromarray(IDS).save(path, pnginfo=text)
    path.write_bytes(flipped(path.read_bytes(), path.read_bytes().index(b"damaged")))
    errors = []
    for read in (lambda: load_mask(path, PLAIN, max_pixels=10**6), lambda: MaskRegions(path, PLAIN, Reading())):
        with pytest.raises(DataError) as caught:
            read()
        errors.append((caught.value.code, caught.value.message, caught.value.help))
    assert errors[0] == errors[1]


def test_a_turned_mask_is_turned(tmp_path: Path) -> None:
    image = Image.fromarray(IDS)
    exif = image.getexif()
    exif[274] = 6
    image.save(tmp_path / "mask.png", exif=exif)
    for how, expected in (("apply", np.rot90(IDS, -1)), ("ignore", IDS)):
        with MaskRegions(tmp_path / "mask.png", PLAIN, Reading(exif=how)) as regions:
            assert np.array_equal(regions.raw(Rectangle(0, 0, *regions.size)).values, expected)


def refusal(path: Path, table: LabelTable = PLAIN) -> str:
    with pytest.raises(DataError) as caught:
        MaskRegions(path, table, Reading())
    assert path.name in caught.value.message
    return caught.value.code


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    content, path = image_of("grey 8"), tmp_path / "mask.png"
    pixels = content.index(b"IDAT")
    unknown = content[: pixels - 4] + grey_of_bits(2)[grey_of_bits(2).index(b"IDAT") - 4 :]
    for damaged in (
        content[: pixels + 20],
        content[:20],
        content[:16] + bytes(4) + content[20:],  # another size than its checksum says
        content[: pixels + 8] + b"\xff\xff\xff" + content[pixels + 11 :],
        unknown,  # too few bytes for its size
    ):
        path.write_bytes(damaged)
        assert refusal(path) == "D101"
    # A row of kind 5, of which there are none.
    rows = np.full((SIZE[0], SIZE[1] + 1), 5, np.uint8)
    compressed = zlib.compress(rows.tobytes())
    chunk = struct.pack(">I", len(compressed)) + b"IDAT" + compressed
    path.write_bytes(content[: pixels - 4] + chunk + struct.pack(">I", zlib.crc32(b"IDAT" + compressed)))
    assert refusal(path) == "D101"
    path.write_bytes(image_of("LA"))
    assert refusal(path) == "D121"  # its transparency tells something that its values do not
    frames = [Image.fromarray(IDS), Image.fromarray(3 - IDS)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert refusal(path) == "D121"
    Image.fromarray(IDS).save(tmp_path / "mask.bmp")
    assert refusal(tmp_path / "mask.bmp") == "D121"
    assert [one for one in found_in_cache() if one.kind is TILED_MASKS and one.unfinished] == []


def entries() -> list[str]:
    return sorted(one.path.name for one in found_in_cache() if one.kind is TILED_MASKS)


def value_at(path: Path, row: int, column: int) -> int:
    with MaskRegions(path, PLAIN, Reading()) as regions:
        return int(regions.raw(Rectangle(row, column, 1, 1)).values[0, 0])


def test_a_mask_is_stored_once_and_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, times = tmp_path / "mask.png", []
    convert = png_masks._convert
    monkeypatch.setattr(png_masks, "_convert", lambda *arguments: times.append(1) or convert(*arguments))
    Image.fromarray(IDS).save(path)
    assert [value_at(path, *place) for place in ((0, 0), (60, 44))] == [IDS[0, 0], IDS[60, 44]]
    (tmp_path / "copy.png").write_bytes(path.read_bytes())
    assert value_at(tmp_path / "copy.png", 30, 30) == IDS[30, 30]
    assert value_at(in_memory(Path("shard.tar/mask.png"), path.read_bytes()), 30, 30) == IDS[30, 30]
    assert (len(times), len(entries())) == (1, 1)
    # The same size and time, but younger than the resolution of time stamps: it is read again.
    facts, before = path.stat(), entries()
    path.write_bytes(grey_of_bits(2))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert value_at(path, 30, 30) == IDS[30, 30]
    assert len(times) == 2
    assert entries() != before


def test_many_threads_store_a_mask_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, times, found = tmp_path / "mask.png", [], []
    convert = png_masks._convert
    monkeypatch.setattr(png_masks, "_convert", lambda *arguments: times.append(1) or convert(*arguments))
    Image.fromarray(IDS).save(path)
    threads = [threading.Thread(target=lambda: found.append(value_at(path, 30, 30))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(times), set(found), len(found)) == (1, {int(IDS[30, 30])}, 6)


def test_a_cache_that_cannot_be_written_is_no_fault_of_the_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mask.png"
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "of another content")
    Image.fromarray(IDS).save(path, pnginfo=text)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tifffile.imwrite", full)
    with pytest.raises(ResourceError) as caught:
        MaskRegions(path, PLAIN, Reading())
    assert caught.value.code == "S601"
