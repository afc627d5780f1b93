"""Headers that claim too much or nothing, beside files that are as they should be."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelwise.datasets.auditing.examination import examine
from pixelwise.datasets.fingerprint import HashCache
from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.reading import limits
from pixelwise.datasets.reading.decoding import decode
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.reading.limits import WithinFile, no_room, require_pixels, require_room
from pixelwise.datasets.reading.masks import load_mask
from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.errors import DataError


def code_of(call, *arguments, **options) -> str:
    with pytest.raises(DataError) as caught:
        call(*arguments, **options)
    assert caught.value.help
    return caught.value.code


@pytest.mark.parametrize(
    ("wanted", "position"), [(3, 0), (-1, 0), (None, 7), (2**62, 0), (2**62, 99_999), (2**62, 10**6)]
)
def test_reading_is_bounded_by_the_file(tmp_path: Path, wanted: int | None, position: int):
    content = bytes(range(250)) * 400
    (tmp_path / "a").write_bytes(content)
    with WithinFile(open(tmp_path / "a", "rb")) as stream:
        stream.seek(position)
        end = None if wanted is None or wanted < 0 else position + wanted
        assert stream.read(wanted) == content[position:end]
        assert stream.read(1) == content[position + 3 : position + 4] if wanted == 3 else stream.read(1) == b""


def chunk(kind: bytes, data: bytes, length: int | None = None) -> bytes:
    claimed = len(data) if length is None else length
    return struct.pack(">I", claimed) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_chunk_may_claim_four_gigabytes(tmp_path: Path):
    """The claimed length of the pixels' chunk is what Pillow asks for when it skips the rest of it."""
    stored = io.BytesIO()
    Image.new("L", (4, 4), 1).save(stored, "PNG")
    content = stored.getvalue()
    place = content.index(b"IDAT") - 4
    (tmp_path / "a.png").write_bytes(content[:place] + struct.pack(">I", 2**32 - 1) + content[place + 4 :])
    assert decode(tmp_path / "a.png", max_pixels=100).image.size == (4, 4)


def test_arrays_without_pixels_are_damaged(tmp_path: Path):
    require_pixels(Path("a"), (2, 3))
    for shape in ((0, 3), (3, 0), (0, 0, 3), (2, 2, 0)):
        assert code_of(require_pixels, Path("a"), shape) == "D101"
        np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
        assert code_of(read_image, tmp_path / "a.npy", Reading(channels=(0,))) == "D101"
    np.save(tmp_path / "a.npy", np.zeros((0, 3), np.uint8))
    assert code_of(load_mask, tmp_path / "a.npy", LabelTable(ids={0: 0}), max_pixels=100) == "D101"


def test_the_room_is_that_of_the_machine(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "available_memory", lambda: 10**9)
    require_room(Path("a"), 10**9)
    with pytest.raises(DataError, match=r"a: needs 2\.5 GB of memory, but 1\.0 GB are available") as caught:
        require_room(Path("a"), 2_500_000_000)
    assert caught.value.code == "D151"
    monkeypatch.setattr(limits, "available_memory", lambda: 0)
    require_room(Path("a"), 1024)  # not worth asking
    assert no_room(Path("a\x1b")).message == "a\\x1b: needs more memory than there is"


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy"])
def test_images_are_refused_before_they_are_allocated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    pixels = np.zeros((5000, 5000, 3), np.uint8)
    if name == "a.npy":
        np.save(tmp_path / name, pixels)
    else:
        Image.fromarray(pixels).convert("RGBA").save(tmp_path / name)
    monkeypatch.setattr(limits, "available_memory", lambda: 10**7)
    reading = Reading(channels=(0, 1, 2)) if name != "a.png" else Reading()
    assert code_of(read_image, tmp_path / name, reading) == "D151"


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 0, 3), (2, 2, 2, 3), (1, 2, 2, 2, 3), (4, 4, 0)])
def test_the_audit_records_odd_shapes(tmp_path: Path, shape: tuple[int, ...]):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    np.save(tmp_path / "m.npy", np.zeros((2, 2), np.uint8))
    sample = Sample("a", tmp_path / "a.npy", tmp_path / "m.npy")
    dataset = Dataset(
        name="folder",
        root=tmp_path,
        classes=("background",),
        palette=((0, 0, 0),),
        label_table=LabelTable(ids={0: 0}),
        splits={"train": (sample,)},
        reading=Reading(channels=(0,)),
    )
    found = examine("train", sample, dataset, HashCache(tmp_path))
    assert [error.code for _, error in found.errors] == ["D105" if len(shape) > 3 else "D101"]


@pytest.mark.timeout(20)
def test_a_chain_of_pages_that_leads_back_into_itself_ends(tmp_path: Path):
    """The last page of two names the first one as the next."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((2, 5, 6), np.uint16), photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        first, last = (page.offset for page in file.pages)
    content = bytearray(path.read_bytes())
    (tags,) = struct.unpack_from("<H", content, last)
    struct.pack_into("<I", content, last + 2 + 12 * tags, last)
    path.write_bytes(content)
    assert first != last
    assert read_image(path, Reading(channels=(0,), input_range=(0, 100))).shape[2] == 1


def test_memory_that_runs_out_within_is_d151():
    with pytest.raises(DataError, match="needs more memory than there is") as caught, limits.within_memory(Path("a")):
        raise MemoryError
    assert caught.value.code == "D151"
