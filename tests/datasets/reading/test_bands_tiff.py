"""Multi-band TIFF files of all kinds, as other programs write them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelwise.datasets.reading.images import load_image, read_image
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError


def bands(dtype: type, channels: int = 5, size: tuple[int, int] = (37, 50)) -> np.ndarray:
    rng = np.random.default_rng(3)
    steps = rng.integers(0, 9, (*size, channels)).cumsum(axis=1)
    return (steps % 251).astype(dtype) if dtype == np.uint8 else (steps * 61).astype(dtype)


def reading(channels: int, input_range: tuple[float, float] | None = None) -> Reading:
    return Reading(channels=tuple(range(channels)), input_range=input_range, max_pixels=100_000)


@pytest.mark.parametrize("options", [{}, {"tile": (16, 32)}, {"rowsperstrip": 7}, {"byteorder": ">"}])
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits", "lzma", "zstd"])
def test_bands_are_read_however_they_are_compressed(
    tmp_path: Path, compression: str | None, planar: str, predictor: bool, options: dict[str, object]
):
    values = bands(np.uint16)
    stored = np.moveaxis(values, 2, 0) if planar == "separate" else values
    predicted = {"predictor": True} if predictor and compression else {}
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, stored, photometric="minisblack", compression=compression, planarconfig=planar, **predicted, **options
    )
    assert np.array_equal(
        read_image(path, reading(5, (0, 255 * 256))), np.clip(values / 256 + 0.5, 0, 255).astype(np.uint8)
    )


@pytest.mark.parametrize("compression", ["lerc", "jpeg2000", "webp", "png", "jpegxl"])
def test_other_compressions_without_loss_are_read_too(tmp_path: Path, compression: str):
    values = bands(np.uint8, channels=3)
    options = {"lossless": True} if compression in ("webp", "jpegxl") else {}
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb", compression=compression, compressionargs=options)
    assert np.array_equal(read_image(path, reading(3)), values)


def test_bands_in_pages_of_their_own_are_stacked(tmp_path: Path):
    values = np.moveaxis(bands(np.uint8), 2, 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="minisblack", compression="zlib", metadata={"axes": "QYX"})
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 5
    assert np.array_equal(read_image(path, reading(5)), np.moveaxis(values, 0, 2))


@pytest.mark.parametrize("first", [False, True])
def test_an_array_written_without_metadata_is_read_as_bands_not_pages(tmp_path: Path, first: bool):
    values = bands(np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.moveaxis(values, 2, 0) if first else values)
    expected = np.clip(values / 256 + 0.5, 0, 255).astype(np.uint8)
    assert np.array_equal(read_image(path, reading(5, (0, 255 * 256))), expected)
    with pytest.raises(DataError, match="5 bands of uint16") as caught:
        load_image(path, Reading())
    assert caught.value.code == "D105"


def test_a_document_of_several_pages_is_its_first_one(tmp_path: Path):
    pages = [Image.fromarray(np.full((30, 40, 3), value, np.uint8)) for value in (10, 200)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    pixels, facts = load_image(tmp_path / "a.tif", Reading())
    assert (pixels.shape, int(pixels.max()), facts.animated) == ((30, 40, 3), 10, True)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("predictor", [1, 3])
def test_floats_that_libtiff_wrote_are_read_with_their_predictor(tmp_path: Path, compression: str, predictor: int):
    values = np.linspace(-3, 900, 40 * 30, dtype=np.float32).reshape(30, 40)
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path, compression=compression, tiffinfo={317: predictor})
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].predictor == predictor
    assert read_image(path, reading(1, (-3, 900)))[[0, -1], [0, -1], 0].tolist() == [0, 255]


@pytest.mark.parametrize("compression", ["lzw", "zstd", "zlib", "lzma"])
def test_a_damaged_file_is_d101(tmp_path: Path, compression: str):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, bands(np.uint8), photometric="minisblack", compression=compression, planarconfig="contig")
    with tifffile.TiffFile(path) as file:
        (offset,), (count,) = file.pages[0].dataoffsets, file.pages[0].databytecounts
    content = bytearray(path.read_bytes())
    content[offset : offset + count] = bytes(255 - value for value in content[offset : offset + count])
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_image(path, reading(5))
    assert caught.value.code == "D101"


def test_a_tile_larger_than_any_image_may_be_is_refused(tmp_path: Path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, bands(np.uint8), photometric="minisblack", planarconfig="contig", tile=(512, 512))
    with pytest.raises(DataError, match="512x512") as caught:
        read_image(path, reading(5))
    assert caught.value.code == "D101"
