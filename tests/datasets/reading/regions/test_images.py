"""Rectangles of images in the normal form against the image that is read whole."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelwise.datasets.reading.georeference import read_georeference
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.reading.regions.images import ImageRegions, large_image
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError

SCALE, TIE = (33550, "d", 3, (0.5, 0.5, 0.0), True), (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 5e6, 0.0), True)
ALL_BANDS = Reading(channels=(3, 1, 0), input_range=(0, 4000))
INFRARED = Reading(channels=(3, 0, 1, 2))


def values_of(shape=(50, 60, 3), dtype="uint8", top: int = 256) -> np.ndarray:
    return np.random.default_rng(1).integers(0, top, shape).astype(dtype)


def tiff(path: Path, values: np.ndarray, **options) -> Path:
    tifffile.imwrite(path, values, **{"metadata": None, "tile": (16, 16), "compression": "zlib"} | options)
    return path


def assert_same_as_whole(path: Path, reading: Reading = Reading()) -> None:  # noqa: B008 (immutable)
    whole = read_image(path, reading)
    place = read_georeference(path, is_tiff=True)
    random = np.random.default_rng(2)
    with ImageRegions(path, reading, kept_bytes=5000) as regions:
        assert regions.size == whole.shape[:2]
        kept = regions.place is not None
        missing = place.missing if kept and place is not None else None
        for _ in range(20):
            top, left = (int(random.integers(0, side)) for side in regions.size)
            height, width = (
                int(random.integers(1, side - start + 1)) for side, start in zip(regions.size, (top, left), strict=True)
            )
            found = regions.read(Rectangle(top, left, height, width))
            rows, columns = slice(top, top + height), slice(left, left + width)
            assert np.array_equal(found.pixels, whole[rows, columns])
            expected = np.zeros((height, width), bool) if missing is None else missing[rows, columns]
            assert np.array_equal(expected, np.zeros_like(expected) if found.missing is None else found.missing)


def palette() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 65536, (3, 256)).astype(np.uint16)


@pytest.mark.parametrize(
    ("values", "options", "reading"),
    [
        (values_of(), {"photometric": "rgb"}, Reading()),
        (values_of((50, 60)), {"photometric": "minisblack"}, Reading()),
        (values_of((50, 60)), {"photometric": "miniswhite"}, Reading()),
        (values_of((50, 60)), {"photometric": "palette", "colormap": palette()}, Reading()),
        (values_of((50, 60, 4)), {"photometric": "rgb", "extrasamples": ["unassalpha"]}, Reading()),
        (values_of((50, 60, 4)), {"photometric": "rgb", "extrasamples": ["unassalpha"]}, Reading(alpha="black")),
        (values_of((50, 60, 4)), {"photometric": "rgb", "extrasamples": ["assocalpha"]}, Reading()),
        (values_of((50, 60, 5), "uint16", 5000), {"photometric": "minisblack", "planarconfig": "contig"}, ALL_BANDS),
        (values_of((5, 50, 60), "uint16", 5000), {"photometric": "minisblack", "planarconfig": "separate"}, ALL_BANDS),
        (values_of((50, 60, 5), "float32", 5000), {"photometric": "minisblack", "planarconfig": "contig"}, ALL_BANDS),
        (values_of((50, 60, 4)), {"photometric": "rgb", "extrasamples": ["unspecified"]}, INFRARED),
    ],
    ids=["rgb", "grey", "white", "palette", "alpha", "black", "premultiplied", "bands", "planes", "floats", "infrared"],
)  # fmt: skip
def test_rectangles_are_those_of_the_image_that_is_read_whole(tmp_path, values, options, reading):
    assert_same_as_whole(tiff(tmp_path / "a.tif", values, **options), reading)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rectangles_are_those_of_the_upright_image(tmp_path, orientation):
    path = tiff(tmp_path / "a.tif", values_of(), photometric="rgb", extratags=[(274, "H", 1, orientation, True)])

    assert_same_as_whole(path)
    assert_same_as_whole(path, Reading(exif="ignore"))


def test_pages_are_bands_where_channels_are_asked_for(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for band in values_of((4, 50, 60)):
            writer.write(band, photometric="minisblack", metadata=None, tile=(16, 16), compression="zlib")

    assert_same_as_whole(path, Reading(channels=(2, 0, 3)))


def test_missing_pixels_and_the_position_are_those_of_the_whole(tmp_path):
    values = values_of()
    values[10:30, 5:50] = 77
    path = tiff(tmp_path / "a.tif", values, photometric="rgb", extratags=[SCALE, TIE, (42113, "s", 0, "77", True)])

    assert_same_as_whole(path)
    with ImageRegions(path, Reading()) as regions:
        whole = read_georeference(path, is_tiff=True)
        assert regions.place is not None
        assert whole is not None
        assert regions.place.tags == whole.tags
        assert regions.lost == ""


@pytest.mark.parametrize("nodata", ["0", "9"])
def test_parts_that_are_not_stored_are_like_all_others(tmp_path, nodata):
    tiles = [b"" if number in (0, 1, 2, 5, 9) else zlib.compress(bytes(range(256)) * 3) for number in range(16)]
    tifffile.imwrite(
        tmp_path / "a.tif", iter(tiles), shape=(50, 60, 3), dtype="uint8", tile=(16, 16), photometric="rgb",
        compression="zlib", metadata=None, extratags=[SCALE, TIE, (42113, "s", 0, nodata, True)],
    )  # fmt: skip

    assert_same_as_whole(tmp_path / "a.tif")
    with ImageRegions(tmp_path / "a.tif", Reading()) as regions:
        empty = regions.read(Rectangle(3, 2, 12, 40))
        assert empty.pixels.strides[:2] == (0, 0)  # one pixel in memory
        assert (empty.pixels == int(nodata)).all()
        assert empty.missing is not None
        assert empty.missing.all()


def test_a_turned_image_loses_its_position_and_says_so(tmp_path):
    path = tiff(tmp_path / "a.tif", values_of(), photometric="rgb", extratags=[SCALE, TIE, (274, "H", 1, 6, True)])

    with ImageRegions(path, Reading()) as regions:
        assert (regions.place, regions.lost) == (None, "the image was turned upright")


def test_colours_of_jpeg_tiles_are_those_of_pillow(tmp_path):
    # Smooth, since decoders may enlarge the shrunken colours of a detail in different ways.
    rows, columns = np.mgrid[:64, :96]
    values = np.stack([rows * 3, columns * 2, rows + columns], 2).astype(np.uint8)
    path = tiff(tmp_path / "a.tif", values, photometric="ycbcr", compression="jpeg", tile=(32, 32))

    with ImageRegions(path, Reading()) as regions:
        found = regions.read(Rectangle(5, 20, 50, 60)).pixels.astype(int)

    assert np.abs(found - np.asarray(Image.open(path).convert("RGB"))[5:55, 20:80]).max() <= 1


def test_overviews_are_no_further_images(tmp_path):
    values = values_of()
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(values, photometric="rgb", tile=(16, 16), metadata=None)
        writer.write(values[::2, ::2], photometric="rgb", tile=(16, 16), metadata=None, subfiletype=1)

    with ImageRegions(tmp_path / "a.tif", Reading()) as regions:
        assert not regions.animated
    assert_same_as_whole(tmp_path / "a.tif")


def test_of_several_images_the_first_is_read(tmp_path):
    path = tiff(tmp_path / "a.tif", values_of((2, 50, 60, 3)), photometric="rgb")

    assert_same_as_whole(path)
    with ImageRegions(path, Reading()) as regions:
        assert regions.animated


def test_several_threads_may_read(tmp_path):
    values = values_of((200, 220, 3))
    path = tiff(tmp_path / "a.tif", values, photometric="rgb")
    places = [Rectangle(top, left, 40, 50) for top in range(0, 160, 20) for left in range(0, 170, 25)]

    with ImageRegions(path, Reading(), kept_bytes=4000) as regions, ThreadPoolExecutor(4) as pool:
        for where, found in zip(places, pool.map(regions.read, places), strict=True):
            assert np.array_equal(found.pixels, values[where.top : where.bottom, where.left : where.right])


@pytest.mark.parametrize(
    ("values", "options", "reading", "code"),
    [
        (values_of(dtype="uint16"), {"photometric": "rgb"}, Reading(), "D104"),
        (values_of((50, 60, 5)), {"photometric": "minisblack", "planarconfig": "contig"}, Reading(), "D105"),
        (values_of(), {"photometric": "rgb"}, Reading(channels=(0, 3)), "D106"),
        (values_of((50, 60, 4)), {"photometric": "separated"}, Reading(), "D121"),
    ],
    ids=["16 bits", "bands", "channel", "cmyk"],
)
def test_what_cannot_be_read_is_said_when_the_file_is_opened(tmp_path, values, options, reading, code):
    path = tiff(tmp_path / "a.tif", values, **options)

    with pytest.raises(DataError) as caught:
        ImageRegions(path, reading)
    assert caught.value.code == code
    assert str(path) in caught.value.message


def test_damage_is_an_error_where_it_is_met(tmp_path):
    path = tiff(tmp_path / "a.tif", values_of((700, 700, 3)), photometric="rgb", tile=(64, 64))
    with tifffile.TiffFile(path) as file:
        offset, count = file.pages.first.dataoffsets[0], file.pages.first.databytecounts[0]
    content = bytearray(path.read_bytes())
    content[offset : offset + count] = bytes(count)
    path.write_bytes(bytes(content))

    with ImageRegions(path, Reading()) as regions:
        regions.read(Rectangle(100, 100, 50, 50))
        with pytest.raises(DataError, match="damaged TIFF") as caught:
            regions.read(Rectangle(0, 0, 10, 10))
    assert caught.value.code == "D101"


def test_only_tiff_files_of_many_pixels_are_large(tmp_path):
    path = tiff(tmp_path / "a.tif", values_of(), photometric="rgb")
    Image.fromarray(values_of()).save(tmp_path / "a.png")
    (tmp_path / "bad.tif").write_bytes(b"II*\0" + b"\xff" * 20)

    found = large_image(path, 2999)
    assert found is not None
    assert (found.size, found.pixel_bytes, found.pixels) == ((50, 60), 3, 3000)
    deep = large_image(tiff(tmp_path / "b.tif", values_of((50, 60, 4), "uint16")), 0)
    assert deep is not None
    assert deep.pixel_bytes == 8
    assert large_image(path, 3000) is None
    assert large_image(tmp_path / "a.png", 10) is None
    assert large_image(tmp_path / "bad.tif", 10) is None
    assert large_image(tmp_path / "missing.tif", 10) is None


@pytest.mark.parametrize("axes", ["ZCYX", "ZYX", "CYX"])
@pytest.mark.parametrize("channels", [(3, 0), (1,)])
def test_chosen_planes_of_a_microscope_s_stack(tmp_path, axes, channels):
    shape = {"ZCYX": (2, 2, 50, 60), "ZYX": (4, 50, 60), "CYX": (4, 50, 60)}[axes]
    values = values_of(shape)
    path = tiff(tmp_path / "a.ome.tif", values, metadata={"axes": axes}, photometric="minisblack")

    assert_same_as_whole(path, Reading(channels=channels))
    with ImageRegions(path, Reading(channels=channels)) as regions:
        found = regions.read(Rectangle(0, 0, 50, 60)).pixels
    assert np.array_equal(found, np.moveaxis(values.reshape(4, 50, 60)[list(channels)], 0, 2))


def test_a_stack_of_which_no_plane_is_chosen_asks_which(tmp_path):
    path = tiff(tmp_path / "a.ome.tif", values_of((3, 2, 50, 60)), metadata={"axes": "ZCYX"}, photometric="minisblack")

    for read in (read_image, ImageRegions):
        with pytest.raises(DataError, match=r"6 planes \(OME-TIFF: Z 3, C 2, Y 50, X 60\)") as caught:
            read(path, Reading())
        assert caught.value.code == "D105"
        assert "data.channels=[0]" in caught.value.help


def test_the_other_pictures_of_a_slide_are_no_further_images(tmp_path):
    path, values = tmp_path / "a.svs", values_of((50, 60, 3))
    with tifffile.TiffWriter(path) as file:
        for picture in (values, values[::2, ::2]):  # a level, of which nothing says that it is smaller
            file.write(
                picture, tile=(16, 16), compression="APERIO_JP2000_RGB", photometric="rgb", metadata=None,
                description="Aperio Image Library v1\r\n60x50",
            )  # fmt: skip

    with ImageRegions(path, Reading()) as regions:
        assert not regions.animated
    assert_same_as_whole(path)
