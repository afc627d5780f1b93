"""TIFF files as they are stored; see test_mask_values.py and test_normal_form.py for their pixels."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelwise.datasets.reading.decoding import decode
from pixelwise.datasets.reading.tiff import (
    BLACK_IS_ZERO,
    PALETTE,
    RGB,
    WHITE_IS_ZERO,
    StoredTiff,
    check_shape,
    differing_page,
    is_tiff,
    read_tiff,
    tiff_layout,
)
from pixelwise.errors import DataError

LIMIT = 10_000


def stored(path: Path, values: np.ndarray, **options: object) -> StoredTiff:
    tifffile.imwrite(path, values, **options)
    found = read_tiff(path, LIMIT)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("options", "photometric", "alpha", "is_picture"),
    [
        ({"shape": (4, 5), "photometric": "minisblack"}, BLACK_IS_ZERO, "none", True),
        ({"shape": (4, 5), "photometric": "miniswhite"}, WHITE_IS_ZERO, "none", True),
        ({"shape": (4, 5, 3), "photometric": "rgb"}, RGB, "none", True),
        ({"shape": (4, 5, 4), "photometric": "rgb", "extrasamples": [2]}, RGB, "straight", True),
        ({"shape": (4, 5, 4), "photometric": "rgb", "extrasamples": [1]}, RGB, "premultiplied", True),
        ({"shape": (4, 5, 4), "photometric": "rgb", "extrasamples": [0]}, RGB, "none", False),
        ({"shape": (4, 5, 5), "photometric": "rgb", "extrasamples": [2, 0]}, RGB, "none", False),
        ({"shape": (4, 5, 2), "photometric": "minisblack", "extrasamples": [2]}, BLACK_IS_ZERO, "straight", True),
        ({"shape": (4, 5, 2), "photometric": "minisblack"}, BLACK_IS_ZERO, "none", False),
        ({"shape": (4, 5, 3), "photometric": "minisblack"}, BLACK_IS_ZERO, "none", False),
    ],
)
def test_channels_are_described_as_the_file_describes_them(
    tmp_path: Path, options: dict, photometric: int, alpha: str, is_picture: bool
):
    shape = options.pop("shape")
    values = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    found = stored(tmp_path / "a.tif", values, planarconfig="contig", **options)
    assert found.values.reshape(shape).tolist() == values.tolist()
    assert (found.photometric, found.alpha, found.is_picture, found.bits) == (photometric, alpha, is_picture, 8)


@pytest.mark.parametrize("scale", [257, 1])
def test_palettes_of_8_and_16_bits(tmp_path: Path, scale: int):
    colors = np.random.default_rng(0).integers(1, 256, (3, 256))
    colormap = (colors * scale).astype(np.uint16)
    found = stored(tmp_path / "a.tif", np.eye(3, dtype=np.uint8), photometric="palette", colormap=colormap)
    assert found.photometric == PALETTE
    assert found.palette is not None
    assert found.palette.tolist() == colors.T.tolist()


def test_colours_that_have_to_be_converted_are_left_to_pillow(tmp_path: Path):
    for mode in ("CMYK", "YCbCr", "LAB"):
        Image.new(mode, (4, 3)).save(tmp_path / "a.tif")
        assert read_tiff(tmp_path / "a.tif", LIMIT) is None
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((16, 16, 3), np.uint8), photometric="rgb", compression="jpeg")
    assert read_tiff(tmp_path / "b.tif", LIMIT) is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_pillow_s_own_turning_is_undone(tmp_path: Path, orientation: int, mode: str):
    values = np.zeros((3, 4, len(mode)), np.uint8)
    values[0, 1], values[2, 3] = 200, 90
    image = Image.fromarray(values, mode=mode) if mode == "RGB" else Image.frombytes(mode, (4, 3), values.tobytes())
    image.save(tmp_path / "a.tif", tiffinfo={274: orientation})
    found = decode(tmp_path / "a.tif", max_pixels=LIMIT)
    assert found.orientation == orientation
    assert np.array_equal(np.asarray(found.image), values)
    assert tiff_layout(tmp_path / "a.tif") == ((3, 4), orientation)


def test_further_pages_are_noted_but_not_smaller_copies_and_transparency_masks(tmp_path: Path):
    page = np.zeros((8, 8), np.uint8)
    for kind, further in ((0, (2, 8, 8)), (1, None), (4, None)):
        with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
            writer.write(page, metadata=None)
            # A transparency mask has one bit per pixel.
            writer.write(page == 0 if kind == 4 else page + 1, subfiletype=kind, metadata=None)
        found = read_tiff(tmp_path / "a.tif", LIMIT)
        assert found is not None
        assert found.further == further
        assert differing_page(tmp_path / "a.tif", LIMIT) == (further is not None)


@pytest.mark.parametrize("stacked", [True, False, None])
def test_pages_are_bands_if_wanted_or_certain(tmp_path: Path, stacked: bool | None):
    bands = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    tifffile.imwrite(tmp_path / "shaped.tif", bands, photometric="minisblack")
    with tifffile.TiffWriter(tmp_path / "pages.tif") as writer:
        for band in bands:
            writer.write(band, metadata=None)
    counts = []
    for name in ("shaped.tif", "pages.tif"):
        found = read_tiff(tmp_path / name, LIMIT, stacked=stacked)
        assert found is not None
        counts.append(found.values.shape[2])
        assert found.values[..., 0].tolist() == bands[0].tolist()
    assert counts == {True: [3, 3], False: [3, 1], None: [1, 1]}[stacked]


def error(path: Path, limit: int = LIMIT) -> DataError:
    with pytest.raises(DataError) as caught:
        read_tiff(path, limit)
    assert str(path) in caught.value.message
    return caught.value


def test_too_many_pixels_are_refused(tmp_path: Path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((6, 8), np.uint8))
    assert error(tmp_path / "a.tif", 47).code == "D120"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_d101_with_its_size(tmp_path: Path, share: float):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8), compression="zlib")
    content = path.read_bytes()[: int(share * path.stat().st_size)]
    path.write_bytes(content)
    found = error(path)
    assert found.code == "D101"
    assert f"({len(content)} bytes)" in found.message


def test_a_missing_file_is_d131_and_no_tiff(tmp_path: Path):
    assert error(tmp_path / "a.tif").code == "D131"
    assert not is_tiff(tmp_path / "a.tif")
    assert not is_tiff(tmp_path)


def test_complex_numbers_are_no_image(tmp_path: Path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4), np.complex64))
    assert error(tmp_path / "a.tif").code == "D105"


def test_a_compression_nobody_knows_is_said(tmp_path: Path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((4, 4), np.uint8))
    content = bytearray(path.read_bytes())
    start = content.index(struct.pack("<HHIH", 259, 3, 1, 1))
    content[start + 8 : start + 10] = struct.pack("<H", 60001)
    path.write_bytes(content)
    assert error(path).code == "D101"
    assert "unknown compression" in error(path).message


@pytest.mark.parametrize("shape", [(4,), (2, 3, 4, 5)])
def test_other_numbers_of_axes_are_no_image(shape: tuple[int, ...]):
    with pytest.raises(DataError) as caught:
        check_shape(Path("a.tif"), shape, np.dtype(np.uint8), False, LIMIT)
    assert caught.value.code == "D105"
