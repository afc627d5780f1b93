from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.decoding import image_sizes
from pixelwise.datasets.reading.images import load_image, read_image
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data

BANDS = np.arange(6 * 8 * 5, dtype=np.uint8).reshape(6, 8, 5)


def reading(*channels: int, input_range: tuple[float, float] | None = None, max_pixels: int = 1000) -> Reading:
    return Reading(channels=channels, input_range=input_range, max_pixels=max_pixels)


def tiff(path: Path, values: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig", **options)
    return path


def array(path: Path, values: np.ndarray) -> Path:
    np.save(path, values)
    return path


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_the_chosen_bands_of_a_tiff_are_read_in_their_order(tmp_path: Path, compression: str | None):
    path = tiff(tmp_path / "a.tif", BANDS, compression=compression)
    assert np.array_equal(read_image(path, reading(4, 0)), BANDS[..., [4, 0]])


@pytest.mark.parametrize("values", [BANDS, np.moveaxis(BANDS, 2, 0)])
def test_arrays_have_their_channels_first_or_last(tmp_path: Path, values: np.ndarray):
    path = array(tmp_path / "a.npy", values)
    assert np.array_equal(read_image(path, reading(1, 2, 3)), BANDS[..., 1:4])


def test_a_tiff_may_hold_its_bands_one_after_the_other(tmp_path: Path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.moveaxis(BANDS, 2, 0), photometric="minisblack", planarconfig="separate")
    assert np.array_equal(read_image(path, reading(0, 4)), BANDS[..., [0, 4]])


def test_an_array_of_one_band_has_one_channel(tmp_path: Path):
    assert read_image(array(tmp_path / "a.npy", BANDS[..., 0]), reading(0)).shape == (6, 8, 1)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.int32])
def test_deep_values_become_bytes_by_the_given_range(tmp_path: Path, dtype: type):
    values = np.array([[[0, 1000], [500, 3000]]], dtype)
    path = tiff(tmp_path / "a.tif", values)
    assert read_image(path, reading(0, 1, input_range=(0, 1000))).tolist() == [[[0, 255], [128, 255]]]


def test_holes_become_the_lowest_value(tmp_path: Path):
    path = array(tmp_path / "a.npy", np.array([[np.nan, 1.0]], np.float32))
    assert read_image(path, reading(0, input_range=(0, 1)))[..., 0].tolist() == [[0, 255]]


def test_channels_of_an_ordinary_picture_can_be_chosen(tmp_path: Path):
    Image.fromarray(BANDS[..., :3]).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png", reading(2)), BANDS[..., 2:3])


def error(path: Path, options: Reading) -> DataError:
    with pytest.raises(DataError) as caught:
        load_image(path, options)
    assert str(path) in caught.value.message
    return caught.value


def test_deep_values_without_a_range_are_d104(tmp_path: Path):
    found = error(tiff(tmp_path / "a.tif", BANDS.astype(np.uint16) * 9), reading(0, 1))
    assert found.code == "D104"
    assert "uint16" in found.message
    assert "0..2124" in found.message


@pytest.mark.parametrize("name", ["a.tif", "a.npy", "a.png"])
def test_a_channel_that_does_not_exist_is_d106(tmp_path: Path, name: str):
    path = tmp_path / name
    if name == "a.png":
        Image.fromarray(BANDS[..., :3]).save(path)
    else:
        (tiff if name == "a.tif" else array)(path, BANDS)
    found = error(path, reading(0, 5))
    assert found.code == "D106"
    assert "data.channels" in found.message
    assert "[0, 5]" in found.message


def test_many_bands_without_channels_are_d105_with_the_way_out(tmp_path: Path):
    found = error(tiff(tmp_path / "a.tif", BANDS), Reading())
    assert found.code == "D105"
    assert "data.channels=[0,1,2,3,4]" in found.help


def test_an_array_without_channels_names_the_way_out(tmp_path: Path):
    assert "data.channels" in error(array(tmp_path / "a.npy", BANDS), Reading()).help


@pytest.mark.parametrize("name", ["a.tif", "a.npy"])
def test_a_truncated_file_is_d101(tmp_path: Path, name: str):
    path = (tiff if name == "a.tif" else array)(tmp_path / name, BANDS)
    path.write_bytes(path.read_bytes()[:-60])
    assert error(path, reading(0)).code == "D101"


@pytest.mark.parametrize("name", ["a.tif", "a.npy"])
def test_too_many_pixels_are_d120_before_they_are_read(tmp_path: Path, name: str):
    path = (tiff if name == "a.tif" else array)(tmp_path / name, BANDS)
    assert error(path, reading(0, max_pixels=47)).code == "D120"
    assert read_image(path, reading(0, max_pixels=48)).shape == (6, 8, 1)


def test_objects_are_never_unpickled(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert error(tmp_path / "a.npy", reading(0)).code in ("D101", "D105")


@pytest.mark.parametrize("ending", ["tif", "npy"])
def test_a_folder_of_bands_opens_and_its_pairs_are_read(tmp_path: Path, ending: str):
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (tmp_path / kind / split).mkdir(parents=True)
        write = tiff if ending == "tif" else array
        write(tmp_path / "images" / split / f"{split}.{ending}", BANDS + len(split) * 3)
        Image.fromarray(np.tile(np.array([0, 1], np.uint8), (6, 4))).save(tmp_path / "masks" / split / f"{split}.png")
    dataset = open_dataset(Data(channels=(0, 1, 2, 3, 4)), tmp_path)
    assert dataset.problems == ()
    assert read_pair(dataset.samples("train")[0], dataset)[0].shape == (6, 8, 5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_bands_without_channels_are_never_called_damaged(tmp_path: Path, dtype: type, planar: str):
    values = BANDS[..., :2].astype(dtype)
    path = tmp_path / "a.tif"
    stored = values if planar == "contig" else np.moveaxis(values, 2, 0)
    tifffile.imwrite(path, stored, photometric="minisblack", planarconfig=planar)
    found = error(path, Reading())
    assert found.code == "D105"
    assert f"2 bands of {np.dtype(dtype)}" in found.message
    assert ("data.input_range" in found.help) == (dtype is not np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_fourth_band_is_not_left_out_unless_it_is_transparency(tmp_path: Path, dtype: type):
    values, path = BANDS[..., :4].astype(dtype), tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb", extrasamples=["unspecified"])
    found = error(path, Reading(input_range=(0, 65535) if dtype is np.uint16 else None))
    assert found.code == "D105"
    assert "data.channels=[0,1,2,3]" in found.help
    tifffile.imwrite(path, BANDS[..., :4], photometric="rgb", extrasamples=["unassalpha"])
    assert np.array_equal(read_image(path, Reading()), BANDS[..., :3])


def test_the_size_of_an_array_is_that_of_its_image(tmp_path: Path):
    for values in (BANDS, np.moveaxis(BANDS, 2, 0), BANDS[..., 0]):
        path = array(tmp_path / "a.npy", values)
        assert image_sizes(path) == ((6, 8), (6, 8))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError) as caught:
        image_sizes(path)
    assert caught.value.code == "D101"


def test_a_truncated_file_stays_damaged(tmp_path: Path):
    path = tmp_path / "a.tif"
    Image.fromarray(BANDS[..., :3]).save(path)
    path.write_bytes(path.read_bytes()[:-60])
    assert error(path, Reading()).code == "D101"
