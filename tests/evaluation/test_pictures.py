from __future__ import annotations

import io

import numpy as np
import pytest
from evaluation.color_model import PALETTE
from PIL import Image

from pixelwise.evaluation.pictures import blend, colorize, indexed_png, jpeg


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_an_indexed_png_keeps_every_class_id_and_shows_its_colour():
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)

    picture = opened(indexed_png(labels, PALETTE))

    assert picture.mode == "P"
    assert np.array_equal(np.asarray(picture), labels)
    assert picture.convert("RGB").getpixel((2, 0)) == PALETTE[2]


def test_ignored_pixels_are_black():
    assert colorize(np.array([[0, 255]], np.uint8), PALETTE).tolist() == [[list(PALETTE[0]), [0, 0, 0]]]


def test_a_palette_of_256_colours_leaves_the_ignored_value_black():
    assert colorize(np.array([[255]], np.uint8), ((9, 9, 9),) * 256).tolist() == [[[0, 0, 0]]]


@pytest.mark.parametrize(("alpha", "expected"), [(0.0, [100, 100, 100]), (1.0, [0, 128, 0]), (0.5, [50, 114, 50])])
def test_blending_mixes_image_and_class_colour(alpha, expected):
    image = np.full((1, 1, 3), 100, np.uint8)

    assert blend(image, np.zeros((1, 1), np.uint8), PALETTE, alpha)[0, 0].tolist() == expected


def test_ignored_pixels_show_the_image():
    image = np.full((1, 1, 3), 100, np.uint8)

    assert blend(image, np.full((1, 1), 255, np.uint8), PALETTE, 1.0).tolist() == [[[100, 100, 100]]]


def test_white_stays_white_and_black_black():
    image = np.array([[[255, 255, 255], [0, 0, 0]]], np.uint8)

    mixed = blend(image, np.array([[0, 1]], np.uint8), ((255, 255, 255), (0, 0, 0)), 0.37)

    assert np.array_equal(mixed, image)


def test_a_jpeg_is_close_to_the_image_even_at_coloured_edges():
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 16:] = (255, 0, 0)

    decoded = np.asarray(opened(jpeg(image))).astype(int)

    assert np.abs(decoded - image).mean() < 2
