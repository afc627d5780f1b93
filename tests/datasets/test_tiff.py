"""Multi-band TIFF files whose compression tifffile leaves to imagecodecs, read through Pillow's libtiff."""

import importlib.util
import io
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pixelwise.datasets.bands import read_bands
from pixelwise.datasets.samples import Reading
from pixelwise.datasets.tiff import can_read, decompress, read_pages, undo_prediction
from pixelwise.errors import DataError

NUMBERS = {"tiff_lzw": 5, "packbits": 32773, "lzma": 34925, "zstd": 50000}
without_imagecodecs = pytest.mark.skipif(importlib.util.find_spec("imagecodecs") is not None, reason="it reads them")


def bands(dtype: type, channels: int = 5, size: tuple[int, int] = (37, 50)) -> np.ndarray:
    rng = np.random.default_rng(3)
    steps = rng.integers(0, 9, (*size, channels)).cumsum(axis=1)
    return (steps % 251).astype(dtype) if dtype == np.uint8 else (steps * 61).astype(dtype)


def compressed(data: bytes, compression: str) -> bytes:
    """A stream of bytes as libtiff compresses it: the only strip of a grey picture."""
    stream = io.BytesIO()
    picture = Image.frombytes("L", (len(data), 1), data)
    picture.save(stream, "TIFF", compression=compression, tiffinfo={317: 1, 278: 1})
    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        (offset,), (count,) = file.pages[0].dataoffsets, file.pages[0].databytecounts
    return stream.getvalue()[offset : offset + count]


def write(path: Path, values: np.ndarray, compression: str, **options: object) -> Path:
    """A file of tifffile's, compressed by deflate, whose strips or tiles are then compressed in another way."""
    tifffile.imwrite(path, values, photometric="minisblack", compression="zlib", **options)
    if compression == "zlib":
        return path
    with tifffile.TiffFile(path, mode="r+b") as file:
        page = file.pages[0]
        kind = "Tile" if page.is_tiled else "Strip"
        offsets, counts = [], []
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            file.filehandle.seek(offset)
            data = compressed(zlib.decompress(file.filehandle.read(count)), compression)
            file.filehandle.seek(0, 2)
            offsets.append(file.filehandle.tell())
            counts.append(len(data))
            file.filehandle.write(data)
        page.tags[f"{kind}Offsets"].overwrite(offsets)
        page.tags[f"{kind}ByteCounts"].overwrite(counts)
        page.tags["Compression"].overwrite(NUMBERS[compression])
    return path


def reading(channels: int, input_range: tuple[float, float] | None = None) -> Reading:
    return Reading(channels=tuple(range(channels)), input_range=input_range, max_pixels=100_000)


@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", ["zlib", "tiff_lzw", "packbits", "lzma", "zstd"])
def test_bands_are_read_however_they_are_compressed(
    tmp_path: Path, compression: str, dtype: type, planar: str, predictor: bool
):
    values = bands(dtype)
    stored = np.moveaxis(values, 2, 0) if planar == "separate" else values
    path = write(tmp_path / "a.tif", stored, compression, planarconfig=planar, predictor=predictor, rowsperstrip=8)
    deep = dtype != np.uint8
    read = read_bands(path, reading(5, (0, 255 * 256) if deep else None))
    assert np.array_equal(read, np.clip(values / 256 + 0.5, 0, 255).astype(np.uint8) if deep else values)


@pytest.mark.parametrize("options", [{"tile": (16, 32)}, {"rowsperstrip": 7}, {"rowsperstrip": 1000}])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("predictor", [False, True])
def test_tifffile_itself_reads_the_same_from_deflate(
    tmp_path: Path, options: dict[str, object], planar: str, byteorder: str, predictor: bool
):
    values = bands(np.uint16)
    stored = np.moveaxis(values, 2, 0) if planar == "separate" else values
    path = tmp_path / "a.tif"
    write(path, stored, "zlib", planarconfig=planar, byteorder=byteorder, predictor=predictor, **options)
    with tifffile.TiffFile(path) as file:
        assert can_read(file.pages[0])
        assert np.array_equal(read_pages(file, file.series[0].pages, 10_000)[0], file.asarray())


def test_bands_in_pages_of_their_own_are_stacked(tmp_path: Path):
    values = np.moveaxis(bands(np.uint16), 2, 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="minisblack", compression="zlib", metadata={"axes": "QYX"})
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 5
        assert np.array_equal(read_pages(file, file.series[0].pages, 10_000)[..., 0], values)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("predictor", [1, 3])
def test_floats_that_libtiff_wrote_are_read_with_their_predictor(tmp_path: Path, compression: str, predictor: int):
    values = np.linspace(-3, 900, 40 * 30, dtype=np.float32).reshape(30, 40)
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path, compression=compression, tiffinfo={317: predictor})
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].predictor == predictor
        assert np.array_equal(read_pages(file, file.pages, 10_000)[0, ..., 0], values)
    assert read_bands(path, reading(1, (-3, 900)))[[0, -1], [0, -1], 0].tolist() == [0, 255]


def test_the_predictor_of_floats_runs_over_the_bytes_of_a_row():
    # 1.0 is 3f800000 and 2.0 is 40000000: the bytes by their rank are 3f 40, 80 00, 00 00, 00 00.
    differences = bytes([0x3F, 0x01, 0x40, 0x80, 0x00, 0x00, 0x00, 0x00])
    assert undo_prediction(differences, 3, (1, 2, 1), np.dtype("<f4")).ravel().tolist() == [1.0, 2.0]


def test_sums_of_differences_wrap_around():
    values = undo_prediction(bytes([250, 10, 10]), 2, (1, 3, 1), np.dtype(np.uint8))
    assert values.ravel().tolist() == [250, 4, 14]


@settings(deadline=None, max_examples=30)
@given(st.binary(min_size=1, max_size=400), st.sampled_from(sorted(NUMBERS)))
def test_every_stream_of_bytes_survives(data: bytes, compression: str):
    assert decompress(compressed(data, compression), NUMBERS[compression], 1, len(data)) == data


@pytest.mark.parametrize("compression", ["tiff_lzw", "zstd", "packbits"])
def test_a_damaged_strip_is_d101(tmp_path: Path, compression: str):
    path = write(tmp_path / "a.tif", bands(np.uint8), compression, planarconfig="contig")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError) as caught:
        read_bands(path, reading(5))
    assert caught.value.code == "D101"


def test_a_tile_larger_than_any_image_may_be_is_refused(tmp_path: Path):
    path = write(tmp_path / "a.tif", bands(np.uint8), "tiff_lzw", planarconfig="contig", tile=(512, 512))
    with pytest.raises(DataError, match="claims to have 512x512 pixels"):
        read_bands(path, reading(5))


@without_imagecodecs
def test_other_compressions_name_the_package_that_reads_them(tmp_path: Path):
    path = tmp_path / "a.tif"
    write(path, bands(np.uint8), "zlib", planarconfig="contig")
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags["Compression"].overwrite(34887)
    with pytest.raises(DataError) as caught:
        read_bands(path, reading(5))
    assert caught.value.code == "D105"
    assert "stored as LERC, 8 bits each, which needs the package imagecodecs" in caught.value.message
    assert "without it: whole bytes, none, LZW, deflate, PackBits, LZMA, ZSTD" in caught.value.message
    assert "pip install imagecodecs" in caught.value.help
