from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from evaluation.color_model import PALETTE
from PIL import Image

from pixelwise.prediction.overlays import (
    as_picture,
    background_of,
    blend,
    colorize,
    indexed_png,
    jpeg,
    png_of,
    with_legend,
    without_background,
)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_an_indexed_png_keeps_every_class_id_and_shows_its_colour():
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)

    picture = opened(indexed_png(labels, PALETTE))

    assert picture.mode == "P"
    assert np.array_equal(np.asarray(picture), labels)
    assert picture.convert("RGB").getpixel((2, 0)) == PALETTE[2]


@pytest.mark.parametrize(
    ("dtype", "shape", "colored"),
    [(np.uint8, (5, 7), False), (np.uint8, (5, 7), True), (np.uint16, (5, 7), False), (np.uint8, (1, 9, 3), False)],
)
def test_masks_of_every_kind_are_read_back_by_another_decoder(dtype, shape, colored):
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)[:, ::-1]
    colors = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)

    picture = opened(png_of(values, colors if colored else None))

    picture.verify()  # the checksums
    picture = opened(png_of(values, colors if colored else None))
    assert np.array_equal(np.asarray(picture), values)
    if colored:
        assert picture.getpalette() == colors.ravel().tolist()


def test_a_mask_takes_as_little_space_as_pillow_needs():
    noise = np.random.default_rng(0).standard_normal((4, 120, 160)).astype(np.float32)
    labels = np.stack([cv2.GaussianBlur(plane, (0, 0), 12) for plane in noise]).argmax(0).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(labels).save(stream, "PNG")

    assert len(png_of(labels)) < 1.05 * stream.tell()


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


def test_a_picture_of_rgb_is_the_image_itself():
    image = np.zeros((2, 2, 3), np.uint8)
    assert as_picture(image) is image


@pytest.mark.parametrize(("channels", "shown"), [(1, [0, 0, 0]), (2, [0, 0, 0]), (4, [0, 1, 2]), (12, [0, 1, 2])])
def test_a_picture_shows_three_bands_or_one_as_grey_from_dark_to_bright(channels: int, shown: list[int]):
    ramp = np.repeat(np.arange(100, 201, dtype=np.uint8)[None], 3, axis=0)
    image = np.stack([np.roll(ramp, channel, axis=1) for channel in range(channels)], axis=2)
    picture = as_picture(image)
    assert picture.shape == (3, 101, 3)
    for place, channel in enumerate(shown):
        # 2 % of 101 values are two: 102 becomes 0 and 198 becomes 255.
        expected = np.clip((image[..., channel].astype(float) - 102) * 255 / 96, 0, 255)
        assert np.abs(picture[..., place] - expected).max() <= 0.5


def test_a_band_of_one_value_stays_as_it_is():
    assert as_picture(np.full((2, 2, 1), 7, np.uint8)).tolist() == [[[7, 7, 7]] * 2] * 2


def test_other_bands_are_blended_as_their_picture():
    image = np.random.default_rng(0).integers(0, 256, (6, 7, 5), dtype=np.uint8)
    labels = np.zeros((6, 7), np.uint8)
    assert np.array_equal(blend(image, labels, PALETTE, 0.3), blend(as_picture(image), labels, PALETTE, 0.3))


@pytest.mark.parametrize(
    ("classes", "background"),
    [
        (("background", "road", "car"), 0),
        (("_Background_", "a", "b"), 0),
        (("Unlabeled", "a", "b"), 0),
        (("intact", "crack"), 0),  # of two classes, the first is what the second stands out from
        (("road", "background", "car"), None),  # only class 0
        (("sky", "road", "car"), None),
        (("object",), None),
        ((), None),
    ],
)
def test_which_class_is_the_background(classes: tuple[str, ...], background: int | None):
    assert background_of(classes) == background


def test_the_background_shows_the_image():
    labels = np.array([[0, 1, 255]], np.uint8)
    assert without_background(labels, ("background", "a", "b")).tolist() == [[255, 1, 255]]
    assert without_background(labels, ("sky", "a", "b")).tolist() == [[0, 1, 255]]


def test_a_legend_is_a_strip_below_the_picture():
    picture = np.full((100, 200, 3), 7, np.uint8)
    one = with_legend(picture, [("road", (255, 0, 0))])
    assert one.shape[1:] == (200, 3)
    assert np.array_equal(one[:100], picture)
    assert (one[100:] == (255, 0, 0)).all(2).any()
    # What does not fit beside each other is written below each other.
    many = with_legend(picture, [(f"class {i}", (0, i, 0)) for i in range(12)])
    assert many.shape[0] - 100 >= 3 * (one.shape[0] - 100)
    assert all((many[100:] == (0, i, 0)).all(2).any() for i in range(12))
    assert with_legend(picture, []).shape == picture.shape
