"""The files of mosaics: what is read of them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from datasets.reading.regions.mosaics import PLACE, source, vrt

from pixelwise.datasets.reading.regions.mosaics import (
    Layer,
    Piece,
    equal_to,
    is_mosaic,
    read_mosaic,
    state_of_image,
    unsupported,
)
from pixelwise.errors import DataError

TILE = source("a.tif", 1, (0, 0), (4, 6))


def one_band(path: Path, band: str, **options) -> Path:
    return vrt(path / "a.vrt", (4, 6), [band], **options)


def test_bands_with_the_same_sources_are_read_together(tmp_path):
    bands = [source("a.tif", 2, (0, 0), (4, 6)) + source("b.tif", 2, (0, 6), (4, 3)),
             source("a.tif", 1, (0, 0), (4, 6)) + source("b.tif", 1, (0, 6), (4, 3))]  # fmt: skip

    found = read_mosaic(vrt(tmp_path / "a.vrt", (4, 9), bands))

    assert found.size == (4, 9)
    assert found.dtype == np.uint8
    assert found.files == (tmp_path / "a.tif", tmp_path / "b.tif")
    assert found.pieces == (
        Piece(0, (0, 0), (0, 0), (4, 6), (Layer(0, 1), Layer(1, 0))),
        Piece(1, (0, 0), (0, 6), (4, 3), (Layer(0, 1), Layer(1, 0))),
    )
    assert found.affine == (5e5, 0.5, 0.0, 5e6, 0.0, -0.5)


def test_every_file_may_be_a_band_of_its_own(tmp_path):
    bands = [source(name, 1, (0, 0), (4, 6)) for name in ("a.tif", "b.tif")]

    assert [(piece.file, piece.layers) for piece in read_mosaic(vrt(tmp_path / "a.vrt", (4, 6), bands)).pieces] == [
        (0, (Layer(0, 0),)),
        (1, (Layer(1, 0),)),
    ]


def test_positions_may_miss_whole_pixels_by_rounding_alone(tmp_path):
    moved = TILE.replace('DstRect xOff="0"', 'DstRect xOff="1.0000001"')
    moved = moved.replace('"6" ySize="4" /></S', '"5.9999" ySize="4" /></S')

    assert read_mosaic(one_band(tmp_path, moved)).pieces[0].target == (0, 1)


@pytest.mark.parametrize(
    ("band", "words"),
    [
        (TILE.replace('DstRect xOff="0"', 'DstRect xOff="0.5"'), "between the pixels"),
        (TILE.replace('xSize="6" ySize="4" /></S', 'xSize="12" ySize="8" /></S'), "6x4 of its pixels are 12x8"),
        (TILE.replace("SimpleSource", "KernelFilteredSource"), "KernelFilteredSource"),
        (source("a.tif", 1, (0, 0), (4, 6), kind="ComplexSource", more="<LUT>0:1</LUT>"), "LUT"),
        (source("a.tif", 1, (0, 0), (4, 6), kind="ComplexSource", more="<ScaleRatio>2</ScaleRatio>"), "ScaleRatio"),
        (source("b.vrt", 1, (0, 0), (4, 6)), "a mosaic itself"),
        (source("/vsicurl/https://a.example/a.tif", 1, (0, 0), (4, 6)), "not a file of this machine"),
        (source("https://a.example/a.tif", 1, (0, 0), (4, 6)), "not a file of this machine"),
        (source("GTIFF_DIR:1:a.tif", 1, (0, 0), (4, 6)), "not a file of this machine"),
        (source("\\\\host\\share\\a.tif", 1, (0, 0), (4, 6)), "not a file of this machine"),
        (source("&lt;VRTDataset/>", 1, (0, 0), (4, 6)), "not a file of this machine"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(tmp_path, band, words):
    with pytest.raises(DataError, match=words) as caught:
        read_mosaic(one_band(tmp_path, band))
    assert caught.value.code == "D122"
    assert "gdal_translate" in caught.value.help


HEAD, MASK = '<VRTDataset rasterXSize="6" rasterYSize="4">', "<MaskBand><VRTRasterBand>"


def document(band: str, attributes: str = "", more: str = "") -> str:
    return f"{HEAD}<VRTRasterBand{attributes}>{band}</VRTRasterBand>{more}</VRTDataset>"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD.replace("rasterX", 'subClass="VRTWarpedDataset" rasterX').replace(">", "/>"), "VRTWarpedDataset"),
        (document("", ' subClass="VRTDerivedRasterBand"'), "VRTDerivedRasterBand"),
        (document("", ' dataType="CFloat32"'), "CFloat32"),
        (document("", more='<VRTRasterBand dataType="Int16"/>'), "Byte, Int16"),
        (document(TILE, more=f"{MASK}{TILE}</VRTRasterBand></MaskBand>"), "a mask of its own"),
    ],
)
def test_other_kinds_of_mosaics_are_refused(tmp_path, text, words):
    (tmp_path / "a.vrt").write_text(text)

    with pytest.raises(DataError, match=words) as caught:
        read_mosaic(tmp_path / "a.vrt")
    assert caught.value.code == "D122"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("<VRTDataset", "D101"),
        ("<a/>", "D102"),
        (document("").replace('"6"', '"9999999999"'), "D101"),
        (f"{HEAD}</VRTDataset>", "D101"),
        (f'<!DOCTYPE a [<!ENTITY b "c">]>{document("")}', "D101"),
        (document(TILE.replace("xOff", "x")), "D101"),
        (document(TILE.replace(">1<", ">0<")), "D101"),
        (document(TILE.replace("6", "nan")), "D101"),
        (document("", more="<GeoTransform>1,2</GeoTransform>"), "D101"),
    ],
)
def test_damaged_mosaics_are_refused(tmp_path, text, code):
    (tmp_path / "a.vrt").write_text(text)

    with pytest.raises(DataError) as caught:
        read_mosaic(tmp_path / "a.vrt")
    assert caught.value.code == code


def test_a_mosaic_is_recognised_by_its_name():
    assert is_mosaic(Path("a.VRT"))
    assert not is_mosaic(Path("a.tif"))


def test_a_mosaic_changes_with_its_images(tmp_path):
    path = one_band(tmp_path, TILE, head=PLACE)
    (tmp_path / "a.tif").write_bytes(b"1")
    before = state_of_image(path)

    (tmp_path / "a.tif").write_bytes(b"12")

    assert state_of_image(path) != before
    assert state_of_image(tmp_path / "a.tif") != ""


def test_numbers_are_compared_as_the_type_stores_them():
    assert equal_to(np.array([255, 1], np.uint8), 255.0).tolist() == [True, False]
    assert equal_to(np.array([255, 1], np.uint8), -9999.0).tolist() == [False, False]
    assert equal_to(np.array([0.1, np.nan], np.float32), 0.1).tolist() == [True, False]
    assert equal_to(np.array([0.1, np.nan], np.float32), np.nan).tolist() == [False, True]


def test_the_way_out_is_one_image():
    assert unsupported(Path("a.vrt"), "why").code == "D122"
