from __future__ import annotations

import cv2
import numpy as np
import pytest

from pixelwise.prediction.sizes import RESIZE, fitted_size, floor_index, same_resizing, seen_images
from pixelwise.recipes.protocols import PROTOCOLS, Protocol


@pytest.mark.parametrize(
    ("size", "fitted"),
    [
        ((375, 500), (512, 683)),  # 512 / 375 is the smaller factor: 682.67
        ((500, 375), (683, 512)),
        ((200, 1600), (256, 2048)),  # 2048 / 1600
        ((1024, 2048), (512, 1024)),
        ((1, 5000), (1, 2048)),
    ],
)
def test_both_sides_stay_within_their_limits_and_are_rounded(size: tuple[int, int], fitted: tuple[int, int]):
    assert fitted_size(size, 512, 2048) == fitted


@pytest.mark.parametrize(
    ("size", "fitted"), [((375, 500), (520, 693)), ((640, 427), (779, 520)), ((100, 100), (520, 520))]
)
def test_without_a_limit_the_longer_side_is_rounded_down(size: tuple[int, int], fitted: tuple[int, int]):
    assert fitted_size(size, 520, None) == fitted


def test_floor_index_is_what_opencv_calls_nearest():
    for length, output in ((4, 3), (384, 1024), (768, 2048), (513, 512), (7, 7), (500, 768)):
        line = np.arange(length, dtype=np.uint16)[None]
        resized = cv2.resize(line, (output, 1), interpolation=cv2.INTER_NEAREST)
        assert floor_index(length, output).tolist() == resized[0].tolist()


@pytest.mark.parametrize("resampling", ["linear", "area", "antialiased"])
@pytest.mark.parametrize("channels", [1, 2, 4, 6])
@pytest.mark.parametrize("size", [(5, 7), (30, 28)])
def test_any_number_of_channels_is_resized_like_three(resampling: str, channels: int, size: tuple[int, int]):
    image = np.random.default_rng(0).integers(0, 256, (13, 17, channels), dtype=np.uint8)
    resized = RESIZE[resampling](image, size)
    assert resized.shape == (*size, channels)
    for channel in range(channels):
        alone = RESIZE[resampling](np.repeat(image[..., channel, None], 3, axis=2), size)
        assert np.array_equal(resized[..., channel], alone[..., 0])


def test_an_image_is_seen_at_every_scale_of_the_input_size_rounded():
    image = np.zeros((9, 7, 3), np.uint8)
    protocol = Protocol(name="x", summary="", scales=(0.5, 1.0, 1.75), resampling="linear")

    seen, scaled = seen_images(image, protocol, None)

    assert seen is image
    assert [each.shape[:2] for each in scaled] == [(5, 4), (9, 7), (16, 12)]
    assert scaled[1] is image


def test_the_protocol_decides_over_the_size_that_is_asked_for_and_fits_into_its_limits():
    image = np.zeros((8, 16, 3), np.uint8)
    fixed = Protocol(name="x", summary="", input_size=(4, 8))
    fitted = Protocol(name="x", summary="", fit=(4, None))
    assert seen_images(image, fixed, (5, 5))[0].shape[:2] == (4, 8)
    assert seen_images(image, fitted, (5, 5))[0].shape[:2] == (4, 8)
    assert seen_images(image, PROTOCOLS["native"], (5, 5))[0].shape[:2] == (5, 5)


def test_protocols_that_resize_alike_are_known_by_what_they_do_to_images():
    native, scored = PROTOCOLS["native"], PROTOCOLS["camvid-480x360"]
    assert same_resizing(native, (4, 5)) == same_resizing(scored, (4, 5))
    assert same_resizing(native, (4, 5)) != same_resizing(native, (5, 4))
    assert same_resizing(native, None) != same_resizing(PROTOCOLS["ssseg-2048x512"], None)
    assert same_resizing(native, None) != same_resizing(PROTOCOLS["multi-scale-flip"], None)
