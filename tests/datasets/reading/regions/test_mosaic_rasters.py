"""The pixels of mosaics against the image that the tiles were cut from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from datasets.reading.regions.mosaics import COLORS, PLACE, cut, source, vrt
from PIL import Image

from pixelwise.datasets.reading.georeference import placement_of
from pixelwise.datasets.reading.images import load_image
from pixelwise.datasets.reading.regions import mosaic_rasters
from pixelwise.datasets.reading.regions.images import ImageRegions, large_image, read_whole_mosaic
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError

GREY = "<ColorInterp>Gray</ColorInterp>"


def picture(height: int = 70, width: int = 100, channels: int = 3, low: int = 1) -> np.ndarray:
    return np.random.default_rng(4).integers(low, 256, (height, width, channels)).astype(np.uint8)


def test_every_rectangle_is_that_of_the_one_image(tmp_path, monkeypatch):
    monkeypatch.setattr(mosaic_rasters, "MOST_OPEN", 2)
    image = picture()
    path = cut(tmp_path / "a", image, (30, 40))
    random = np.random.default_rng(5)

    with ImageRegions(path, Reading(), kept_bytes=10_000) as mosaic:
        assert (mosaic.size, mosaic.bands, mosaic.dtype, mosaic.lost) == ((70, 100), 3, np.uint8, "")
        for _ in range(30):
            top, left = int(random.integers(0, 69)), int(random.integers(0, 99))
            where = Rectangle(top, left, int(random.integers(1, 71 - top)), int(random.integers(1, 101 - left)))
            found = mosaic.read(where)
            assert np.array_equal(found.pixels, image[where.top : where.bottom, where.left : where.right])
            assert found.missing is None
        assert mosaic.place is not None
        assert placement_of(mosaic.place) == ((0.5, 0.0, 5e5, 0.0, -0.5, 5e6), 32633)


def test_the_whole_is_read_like_other_images(tmp_path):
    image = picture()
    path = cut(tmp_path / "a", image, (30, 40), left_out=1)

    pixels, facts = load_image(path, Reading())
    whole = read_whole_mosaic(path, Reading())

    missing = np.zeros((70, 100), bool)
    missing[:30, 40:80] = True
    assert np.array_equal(pixels, np.where(missing[..., None], 0, image))
    assert facts.format == "VRT"
    assert whole.place is not None
    assert whole.place.missing is not None
    assert np.array_equal(whole.place.missing, missing)
    assert large_image(path, 6999) == ((70, 100), 3)
    assert large_image(path, 7000) is None
    with pytest.raises(DataError, match=r"data\.max_pixels=7000") as caught:
        load_image(path, Reading(max_pixels=6999))
    assert caught.value.code == "D120"


def test_later_images_lie_over_earlier_ones_but_for_their_missing_pixels(tmp_path):
    below, above = np.full((4, 6), 7, np.uint8), np.array([[9] * 6, [0] * 6, [9, 0] * 3, [0] * 6], np.uint8)
    for name, values in (("a.tif", below), ("b.tif", above)):
        tifffile.imwrite(tmp_path / name, values, photometric="minisblack", metadata=None)
    text = "".join(
        source(name, 1, (0, column), (4, 6), kind="ComplexSource", more="<NODATA>0</NODATA>")
        for name, column in (("a.tif", 0), ("b.tif", 2))
    )
    path = vrt(tmp_path / "a.vrt", (4, 9), [f"<NoDataValue>5</NoDataValue>{GREY}{text}"])

    with ImageRegions(path, Reading()) as mosaic:
        found, missing = mosaic.stored(Rectangle(0, 0, 4, 9))[..., 0], mosaic.read(Rectangle(0, 0, 4, 9)).missing

    assert found.tolist() == [
        [7, 7, 9, 9, 9, 9, 9, 9, 5],
        [7, 7, 7, 7, 7, 7, 5, 5, 5],
        [7, 7, 9, 7, 9, 7, 9, 5, 5],
        [7, 7, 7, 7, 7, 7, 5, 5, 5],
    ]
    assert missing is not None
    assert np.array_equal(missing, found == 5)


def test_transparent_pixels_are_missing(tmp_path):
    image = picture(channels=4)
    image[10:20, 30:60, 3] = 0
    path = cut(tmp_path / "a", image, (35, 50), extrasamples=["unassalpha"])

    with ImageRegions(path, Reading()) as mosaic:
        found = mosaic.read(Rectangle(0, 0, 70, 100))

    assert np.array_equal(found.pixels, image[..., :3])
    assert found.missing is not None
    assert np.array_equal(found.missing, image[..., 3] == 0)


def test_a_mask_within_an_image_leaves_out_its_pixels(tmp_path):
    image, mask = picture(4, 6), np.array([[255, 0, 255, 0, 0, 255]] * 4, np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(image, photometric="rgb", metadata=None)
        file.write(mask != 0, photometric="mask", subfiletype=4, metadata=None)
    masked = "<UseMaskBand>true</UseMaskBand>"
    bands = [
        f"<ColorInterp>{color}</ColorInterp>" + source("a.tif", band, (0, 0), (4, 6), kind="ComplexSource", more=masked)
        for band, color in enumerate(COLORS[:3], 1)
    ]
    own = source("a.tif", 1, (0, 0), (4, 6), kind="ComplexSource", more=masked).replace("Band>1", "Band>mask,1")
    path = vrt(tmp_path / "a.vrt", (4, 6), bands)
    stated = f"<MaskBand><VRTRasterBand>{own}</VRTRasterBand></MaskBand></VRTDataset>"
    path.write_text(path.read_text().replace("</VRTDataset>", stated))

    with ImageRegions(path, Reading()) as mosaic:
        missing = mosaic.read(Rectangle(0, 0, 4, 6)).missing

    assert missing is not None
    assert np.array_equal(missing, mask == 0)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_tiles_may_be_files_that_are_decoded_whole(tmp_path, ending):
    Image.fromarray(picture(8, 8)).save(tmp_path / f"a.{ending}")
    bands = [
        f"<ColorInterp>{color}</ColorInterp>{source(f'a.{ending}', band, (2, 1), (8, 8))}"
        for band, color in enumerate(COLORS[:3], 1)
    ]

    with ImageRegions(vrt(tmp_path / "a.vrt", (10, 9), bands), Reading()) as mosaic:
        found = mosaic.read(Rectangle(4, 3, 6, 6))

    assert np.array_equal(found.pixels, np.asarray(Image.open(tmp_path / f"a.{ending}"))[2:, 2:])


def test_colours_of_a_palette_are_those_of_the_mosaic(tmp_path):
    values = np.array([[0, 1, 2]], np.uint8)
    colors = np.zeros((3, 256), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="palette", colormap=colors, metadata=None)
    table = '<ColorTable><Entry c1="1" c2="2" c3="3" c4="255"/><Entry c1="9" c2="8" c3="7" c4="255"/></ColorTable>'
    band = f"<ColorInterp>Palette</ColorInterp>{table}{source('a.tif', 1, (0, 0), (1, 3))}"
    path = vrt(tmp_path / "a.vrt", (1, 3), [band])

    assert load_image(path, Reading())[0].tolist() == [[[1, 2, 3], [9, 8, 7], [0, 0, 0]]]


@pytest.mark.parametrize(
    ("values", "options", "band", "words"),
    [
        (np.zeros((4, 6), np.uint16), {}, 1, "uint16, which uint8"),
        (np.zeros((4, 6), np.uint8), {}, 2, "has 1 band"),
        (np.zeros((4, 6), np.uint8), {"photometric": "miniswhite"}, 1, "0 is white"),
        (np.zeros((4, 6), bool), {}, 1, "fewer than 8 bits"),
    ],
)
def test_images_that_do_not_fit_the_mosaic_are_refused(tmp_path, values, options, band, words):
    tifffile.imwrite(tmp_path / "a.tif", values, **{"photometric": "minisblack", "metadata": None} | options)

    with pytest.raises(DataError, match=words) as caught:
        ImageRegions(vrt(tmp_path / "a.vrt", (4, 6), [GREY + source("a.tif", band, (0, 0), (4, 6))]), Reading())
    assert caught.value.code == "D122"


def test_missing_images_are_told_before_anything_is_read(tmp_path):
    band = source("a.tif", 1, (0, 0), (4, 6)) + source("b.tif", 1, (0, 6), (4, 6))

    with pytest.raises(DataError, match="2 of the 2 images") as caught:
        ImageRegions(vrt(tmp_path / "a.vrt", (4, 12), [band]), Reading())
    assert caught.value.code == "D131"


def test_bands_that_are_no_picture_have_to_be_chosen(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 6), np.uint8), photometric="minisblack", metadata=None)
    path = vrt(tmp_path / "a.vrt", (4, 6), [source("a.tif", 1, (0, 0), (4, 6))] * 2)

    with pytest.raises(DataError, match="the mosaic has 2 bands") as caught:
        load_image(path, Reading())
    assert caught.value.code == "D105"
    assert load_image(path, Reading(channels=(1, 0)))[0].shape == (4, 6, 2)


def test_a_system_without_a_code_is_lost_and_said(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 6), np.uint8), photometric="minisblack", metadata=None)
    head = PLACE.replace('AUTHORITY["EPSG","32633"]', 'AUTHORITY["ESRI","1"]')
    path: Path = vrt(tmp_path / "a.vrt", (4, 6), [GREY + source("a.tif", 1, (0, 0), (4, 6))], head=head)

    with ImageRegions(path, Reading()) as mosaic:
        assert mosaic.place is None
        assert "no code of EPSG" in mosaic.lost
