import colorsys

import cv2
import numpy as np
import pytest

from pixelwise.recipes.schema.recipe import Augment
from pixelwise.transforms import photometric
from pixelwise.transforms.photometric import add, changes_pixels, distort, multiply, saturate, shift_hue

DRAWS = 20_000
MMSEG, UNITED = Augment(photometric="mmseg"), Augment(photometric="united-perception")


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (30, 40, 3), dtype=np.uint8)


def with_hsv(image: np.ndarray, change) -> np.ndarray:
    """Change every pixel in Python's own HSV of 0..1."""
    new = np.zeros(image.shape)
    for place in np.ndindex(*image.shape[:2]):
        new[place] = colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*(image[place] / 255.0))))
    return 255 * new


def test_brightness_adds_clips_and_drops_fractions():
    assert add(np.array([[[0, 100, 250]]], np.uint8), 20.7).tolist() == [[[20, 120, 255]]]
    assert add(np.array([[[0, 100, 250]]], np.uint8), -20.7).tolist() == [[[0, 79, 229]]]


def test_contrast_multiplies_clips_and_drops_fractions():
    assert multiply(np.array([[[0, 101, 250]]], np.uint8), 1.5).tolist() == [[[0, 151, 255]]]
    assert multiply(np.array([[[0, 101, 250]]], np.uint8), 0.5).tolist() == [[[0, 50, 125]]]


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.5])
def test_saturation_is_that_of_hsv(factor: float):
    expected = with_hsv(picture(), lambda h, s, v: (h, min(1.0, s * factor), v))
    difference = np.abs(saturate(picture(), factor) - expected)
    # OpenCV's hue has steps of two degrees: up to 255 / 60 levels, plus rounding.
    assert difference.max() < 9
    assert difference.mean() < 1.5


@pytest.mark.parametrize("steps", [-18, -1, 17])
def test_hue_moves_by_two_degrees_a_step_around_the_circle(steps: int):
    expected = with_hsv(picture(), lambda h, s, v: ((h + steps / 180) % 1, s, v))
    difference = np.abs(shift_hue(picture(), steps) - expected)
    assert difference.max() < 9
    assert difference.mean() < 1.5
    # Red moves towards yellow for positive steps.
    red = shift_hue(np.array([[[200, 0, 0]]], np.uint8), 15)
    assert red.tolist() == [[[200, 100, 0]]]


def spied(monkeypatch: pytest.MonkeyPatch, augment: Augment) -> list[list[tuple[str, float]]]:
    """Names and amounts of the steps, for every draw."""
    steps: list[list[tuple[str, float]]] = []
    for name in ("add", "multiply", "saturate", "shift_hue"):
        monkeypatch.setattr(
            photometric, name, lambda image, amount, name=name: steps[-1].append((name, amount)) or image
        )
    random, pixel = np.random.default_rng(5), np.zeros((1, 1, 3), np.uint8)
    for _ in range(DRAWS):
        steps.append([])
        distort(pixel, augment, random)
    return steps


@pytest.mark.parametrize(
    ("augment", "fires", "contrast_first", "contrast_last"),
    [(MMSEG, 1 / 2, 1 / 4, 1 / 4), (UNITED, 2 / 3, 2 / 9, 2 / 9)],
)
def test_steps_fire_as_often_as_published(
    augment: Augment, fires: float, contrast_first: float, contrast_last: float, monkeypatch: pytest.MonkeyPatch
):
    draws = spied(monkeypatch, augment)
    # Four standard errors of a share of 1/2.
    within = 4 * 0.5 / np.sqrt(DRAWS)
    for name in ("add", "saturate", "shift_hue"):
        assert np.mean([name in dict(draw) for draw in draws]) == pytest.approx(fires, abs=within)
    names = [[name for name, _ in draw] for draw in draws]
    full = [draw for draw in names if {"multiply", "saturate"} <= set(draw)]
    before = np.mean([draw.index("multiply") < draw.index("saturate") for draw in full])
    assert before == pytest.approx(0.5, abs=0.03)
    expected = contrast_first + contrast_last
    assert np.mean(["multiply" in draw for draw in names]) == pytest.approx(expected, abs=within)
    # Independent of each other: all four.
    assert np.mean([len(draw) == 4 for draw in names]) == pytest.approx(expected * fires**3, abs=within)
    order = ["add", "saturate", "shift_hue"]
    assert all([name for name in draw if name in order] == [name for name in order if name in draw] for draw in names)
    assert all(draw.index("multiply") in (draw.count("add"), len(draw) - 1) for draw in names if "multiply" in draw)


def test_amounts_cover_their_ranges_uniformly(monkeypatch: pytest.MonkeyPatch):
    draws = [step for draw in spied(monkeypatch, UNITED) for step in draw]
    for name, low, high in (("add", -32, 32), ("multiply", 0.5, 1.5), ("saturate", 0.5, 1.5)):
        amounts = np.sort([amount for step, amount in draws if step == name])
        uniform = (amounts - low) / (high - low)
        assert np.abs(uniform - np.linspace(0, 1, len(uniform))).max() < 1.63 / np.sqrt(len(uniform))
    hues = [amount for step, amount in draws if step == "shift_hue"]
    assert set(hues) == set(range(-18, 19))
    assert np.bincount(np.array(hues) + 18).std() < 4 * np.sqrt(len(hues) / 37)


def test_hues_of_mmseg_leave_out_the_last_step(monkeypatch: pytest.MonkeyPatch):
    hues = {amount for draw in spied(monkeypatch, MMSEG) for name, amount in draw if name == "shift_hue"}
    assert hues == set(range(-18, 18))


@pytest.mark.heavy
def test_the_brightness_shift_is_a_whole_number_in_half_of_the_images():
    random, grey = np.random.default_rng(1), np.full((1, 1, 3), 100, np.uint8)
    values = np.array([distort(grey, Augment(brightness_shift=10), random)[0, 0] for _ in range(DRAWS)], int)
    assert (values == values[:, :1]).all()
    counts = np.bincount(values[:, 0] - 90)
    assert len(counts) == 21
    share = counts / DRAWS
    assert share[10] == pytest.approx(0.5 + 0.5 / 21, abs=0.015)
    assert np.delete(share, 10) == pytest.approx(0.5 / 21, abs=0.006)


def test_the_image_itself_is_never_changed():
    image = picture()
    for seed in range(20):
        distort(image, UNITED, np.random.default_rng(seed))
    assert np.array_equal(image, picture())
    assert not changes_pixels(Augment(brightness=0.3))
    assert distort(image, Augment(), np.random.default_rng(0)) is image


@pytest.mark.parametrize("channels", [1, 5])
def test_a_shift_of_brightness_takes_any_channels(channels: int):
    image = np.full((3, 4, channels), 100, np.uint8)
    assert np.array_equal(add(image, 20.0), image + 20)


def test_hue_and_saturation_are_those_of_separate_pictures():
    image = np.random.default_rng(0).integers(0, 256, (61, 37, 3), np.uint8)
    before = image.copy()
    for changed, channel, table in (
        (saturate(image, 1.4), 1, np.clip(np.arange(256, dtype=np.float32) * np.float32(1.4), 0, 255)),
        (shift_hue(image, -17), 0, (np.arange(256) - 17) % 180),
    ):
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        hsv[..., channel] = table.astype(np.uint8)[hsv[..., channel].astype(np.uint8)]
        assert np.array_equal(changed, cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
    assert np.array_equal(image, before)
