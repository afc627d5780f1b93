from pathlib import Path

import numpy as np
import pytest
from pictures import save, with_orientation
from PIL import Image

from pixelwise.datasets.reading.images import load_image, read_image
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError, RecipeError


def test_an_rgb_image_is_read_as_it_is_and_may_be_written_to(tmp_path: Path, picture: np.ndarray):
    image = read_image(save(tmp_path / "a.png", picture), Reading())
    assert np.array_equal(image, picture)
    assert image.dtype == np.uint8
    assert image.flags.writeable


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "LA", "RGBA", "PA", "YCbCr"])
def test_every_colour_mode_becomes_rgb(tmp_path: Path, mode: str):
    kind = "tiff" if mode in ("CMYK", "YCbCr", "PA") else "png"
    path = tmp_path / f"a.{kind}"
    image = Image.new("RGB", (5, 4), (255, 255, 255)).convert("LA" if mode == "PA" else mode)
    image.save(path, compression="raw") if kind == "tiff" else image.save(path)
    pixels = read_image(path, Reading())
    assert pixels.shape == (4, 5, 3)
    assert (pixels >= 253).all()


def test_one_bit_images_become_black_and_white(tmp_path: Path):
    bits = np.array([[True, False]])
    assert read_image(save(tmp_path / "a.png", bits), Reading()).tolist() == [[[255] * 3, [0] * 3]]


def test_transparent_pixels_keep_their_colour_or_become_black_by_choice(tmp_path: Path):
    rgba = np.array([[[200, 100, 50, 0], [200, 100, 50, 255], [200, 100, 50, 128]]], np.uint8)
    path = save(tmp_path / "a.png", rgba)
    assert read_image(path, Reading()).tolist() == [[[200, 100, 50]] * 3]
    assert read_image(path, Reading(alpha="black")).tolist() == [[[0, 0, 0], [200, 100, 50], [100, 50, 25]]]
    assert load_image(path, Reading())[1].transparent


def test_an_opaque_alpha_channel_is_not_transparency(tmp_path: Path):
    path = save(tmp_path / "a.png", np.full((2, 2, 4), 255, np.uint8))
    assert not load_image(path, Reading())[1].transparent


def test_sixteen_bits_are_refused_instead_of_clipped(tmp_path: Path):
    path = save(tmp_path / "deep.png", np.array([[0, 40000]], np.uint16))
    with pytest.raises(DataError, match=r"deep\.png: .*\b0\.\.40000\b") as caught:
        read_image(path, Reading())
    assert caught.value.code == "D104"
    assert "data.input_range=[0, 65535]" in caught.value.help


def test_a_16_bit_ramp_stretched_over_its_range_has_the_mean_of_a_ramp(tmp_path: Path):
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    image = read_image(save(tmp_path / "a.png", ramp), Reading(input_range=(0, 65535)))
    assert abs(image.mean() - 127.5) < 0.5
    assert (image.min(), image.max()) == (0, 255)


def test_floats_are_stretched_by_the_given_range(tmp_path: Path):
    values = np.array([[-1.0, 0.0, 0.5, 1.0, 2.0, np.nan]], np.float32)
    path = save(tmp_path / "a.tif", values)
    image = read_image(path, Reading(input_range=(0, 1)))
    assert image[..., 0].tolist() == [[0, 0, 128, 255, 255, 0]]
    with pytest.raises(DataError, match=r"-1\.\.2\b") as caught:
        read_image(path, Reading())
    assert caught.value.code == "D104"


def test_an_empty_input_range_is_a_recipe_error(tmp_path: Path):
    path = save(tmp_path / "a.png", np.array([[0, 40000]], np.uint16))
    with pytest.raises(RecipeError, match=r"data\.input_range is \[5, 5\]") as caught:
        read_image(path, Reading(input_range=(5, 5)))
    assert caught.value.code == "R203"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied_so_that_a_marked_corner_is_on_top(tmp_path: Path, orientation: int):
    upright = np.zeros((4, 6, 3), np.uint8)
    upright[0, 0] = (255, 0, 0)  # top left
    upright[0, 5] = (0, 255, 0)  # top right
    # How a camera that was held that way stores the upright scene.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    path = with_orientation(tmp_path / "a.png", np.ascontiguousarray(stored), orientation)
    assert np.array_equal(read_image(path, Reading()), upright)
    assert np.array_equal(read_image(path, Reading(exif="ignore")), stored)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_exif_block_leaves_the_image_as_it_is(tmp_path: Path, picture: np.ndarray):
    Image.fromarray(picture).save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert np.array_equal(read_image(tmp_path / "a.png", Reading()), picture)
