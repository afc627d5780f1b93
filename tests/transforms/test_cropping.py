import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pixelwise.transforms.cropping import View, content, crop_image, crop_labels, warp_affine


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def classes(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 7, (height, width)).astype(np.uint8)


def resized(image: np.ndarray, size: tuple[int, int], resampling: str) -> np.ndarray:
    """The whole image, resized by the library of the resampling."""
    height, width = size
    if resampling == "bilinear":
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("resampling", ["bilinear", "antialiased"])
@pytest.mark.parametrize("zoomed", [(30, 40), (45, 61), (60, 80), (83, 97), (120, 160)])
def test_a_crop_equals_the_crop_of_the_whole_resized_pair(resampling, zoomed: tuple[int, int]):
    image, labels = picture(60, 80), classes(60, 80)
    size, corner = (20, 25), (min(11, zoomed[0] - 20), zoomed[1] - 25)
    view = View(size, (zoomed[0] / 60, zoomed[1] / 80), (float(corner[0]), float(corner[1])), False, 0.0, resampling)
    part = slice(corner[0], corner[0] + 20), slice(corner[1], corner[1] + 25)
    difference = np.abs(crop_image(image, view).astype(int) - resized(image, zoomed, resampling)[part])
    assert difference.max() <= 2
    assert difference.mean() < 0.2
    rows = ((np.arange(zoomed[0]) + 0.5) * 60 / zoomed[0] + 1e-9).astype(int)
    columns = ((np.arange(zoomed[1]) + 0.5) * 80 / zoomed[1] + 1e-9).astype(int)
    assert np.array_equal(crop_labels(labels, view), labels[rows][:, columns][part])


def test_enlarged_pictures_have_no_dark_border_unlike_warped_ones():
    image = np.full((4, 4, 3), 200, np.uint8)
    for resampling, darkest in (("bilinear", 200), ("antialiased", 200), ("warp", 112)):
        crop = crop_image(image, View((8, 8), (2.0, 2.0), (0.0, 0.0), False, 0.0, resampling))  # type: ignore[arg-type]
        # Warped: a corner pixel's centre lies a quarter pixel outside, so 0.75 * 0.75 of it is picture.
        assert crop.min() == pytest.approx(darkest, abs=2)


@given(
    height=st.integers(3, 30), width=st.integers(3, 30), top=st.integers(-12, 12), left=st.integers(-12, 12),
    flip=st.booleans(), resampling=st.sampled_from(["warp", "bilinear", "antialiased"]),
)  # fmt: skip
def test_the_content_is_where_the_source_is(height: int, width: int, top: int, left: int, flip: bool, resampling):
    labels = np.zeros((15, 18), np.uint8)
    corner = float(min(top, 14)), float(min(left, 17))
    if height + corner[0] <= 0 or width + corner[1] <= 0:
        return
    view = View((height, width), (1.0, 1.0), corner, flip, 0.0, resampling)
    expected = np.full((height, width), 255, np.uint8)
    expected[content(view, (15, 18))] = 0
    assert np.array_equal(crop_labels(labels, view), expected)


@pytest.mark.parametrize("resampling", ["warp", "bilinear", "antialiased"])
def test_a_positive_angle_turns_counter_clockwise_about_the_centre(resampling):
    labels = np.zeros((5, 5), np.uint8)
    labels[2, 4], labels[2, 2] = 1, 2
    turned = crop_labels(labels, View((5, 5), (1.0, 1.0), (0.0, 0.0), False, 90.0, resampling))
    assert (turned[0, 2], turned[2, 2]) == (1, 2)
    image = np.repeat(labels[..., None], 3, axis=2)
    assert np.array_equal(
        crop_image(image, View((5, 5), (1.0, 1.0), (0.0, 0.0), False, 90.0, resampling))[..., 0], turned
    )


def test_the_three_ways_turn_alike():
    image, labels = np.full((40, 60, 3), 90, np.uint8), np.zeros((40, 60), np.uint8)
    image[10:30, 20:50], labels[10:30, 20:50] = 200, 1
    views = [View((50, 70), (1.5, 1.5), (4.0, 6.0), True, 7.0, way) for way in ("warp", "bilinear", "antialiased")]  # type: ignore[arg-type]
    crops = [(crop_image(image, view).astype(int), crop_labels(labels, view)) for view in views]
    for crop, crop_label in crops[1:]:
        assert np.abs(crop - crops[0][0]).mean() < 1.5
        assert (crop_label != crops[0][1]).mean() < 0.03


def test_turned_in_corners_get_their_own_label_and_padding_stays_ignored():
    labels, image = np.ones((80, 80), np.uint8), np.full((80, 80, 3), 50, np.uint8)
    view = View((84, 80), (1.0, 1.0), (-2.0, 0.0), False, 45.0, "bilinear")
    crop, pixels = crop_labels(labels, view, turned_in=0), crop_image(image, view, (1, 2, 3))
    assert (crop[:2] == 255).all()
    assert (crop[82:] == 255).all()
    assert [crop[2, 0], crop[2, 79], crop[42, 40]] == [0, 0, 1]
    assert pixels[0, 0].tolist() == pixels[2, 0].tolist() == [1, 2, 3]
    # A square turned by 45 degrees leaves four triangles: as high as half the diagonal minus half a side.
    assert (crop[2:82] == 0).mean() == pytest.approx(4 * (np.sqrt(0.5) - 0.5) ** 2, abs=0.01)


def test_only_the_crop_is_computed(monkeypatch: pytest.MonkeyPatch):
    sizes: list[tuple[int, ...]] = []
    original = Image.fromarray
    monkeypatch.setattr(Image, "fromarray", lambda array: sizes.append(array.shape) or original(array))
    crop_image(
        np.zeros((1000, 1000, 3), np.uint8), View((50, 50), (0.5, 0.5), (100.0, 100.0), False, 0.0, "antialiased")
    )
    # 100 source pixels, and 3 more on each side for the filter.
    assert sizes == [(106, 106, 3)]


@pytest.mark.parametrize("resampling", ["warp", "bilinear", "antialiased"])
@pytest.mark.parametrize("channels", [1, 2, 4, 5])
def test_any_number_of_channels_is_cropped_like_three(channels: int, resampling):
    image = np.random.default_rng(0).integers(0, 256, (30, 40, channels), dtype=np.uint8)
    view = View((30, 36), (0.7, 0.8), (-4.0, 0.0), True, 0.0, resampling)
    crop = crop_image(image, view, tuple(range(10, 10 + channels)))
    assert crop.shape == (30, 36, channels)
    for channel in range(channels):
        alone = crop_image(np.repeat(image[..., channel : channel + 1], 3, axis=2), view, (10 + channel,) * 3)
        assert np.array_equal(crop[..., channel], alone[..., 0])


@given(
    source=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    size=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    seed=st.integers(0, 2**32 - 1),
    angle=st.sampled_from([0.0, 0.0, 10.0, -75.0, 180.0]),
    flip=st.booleans(),
    fill=st.sampled_from([(10, 200, 30), None]),
)
@settings(max_examples=150, deadline=None)
def test_the_fast_warp_is_opencvs_to_the_last_bit(source, size, seed: int, angle: float, flip: bool, fill):
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (*source, 3), np.uint8)
    factors, shift = np.exp(random.uniform(-1.5, 1.5, 2)), random.uniform(-40, 40, 2)
    matrix = np.array([[factors[0] * (-1 if flip else 1), 0, shift[0]], [0, factors[1], shift[1]]])
    matrix = cv2.getRotationMatrix2D((20.0, 30.0), angle, 1.0) @ np.vstack([matrix, [0, 0, 1]])
    border = cv2.BORDER_REPLICATE if fill is None else cv2.BORDER_CONSTANT
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected = cv2.warpAffine(image, matrix, size[::-1], flags=flags, borderMode=border, borderValue=fill or ())
    assert np.array_equal(warp_affine(image, matrix, size, cv2.INTER_LINEAR, fill), expected)
