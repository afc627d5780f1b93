"""Crops of parts against crops of the whole."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.schema.recipe import Augment
from pixelwise.transforms.augmentation import random_pair
from pixelwise.transforms.cropping import View, crop_image, crop_labels, reach
from pixelwise.transforms.parts import ADDRESSED_BYTES, Part, Window

SIZE = (150, 190)
RANDOM = np.random.default_rng(5)
IMAGES = {count: RANDOM.integers(0, 256, (*SIZE, count)).astype(np.uint8) for count in (1, 3, 5)}
LABELS = RANDOM.choice([0, 1, 2, 7, IGNORE], SIZE, p=[0.5, 0.3, 0.1, 0.05, 0.05]).astype(np.uint8)


class Held:
    """Parts of an array, whose windows are remembered."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.windows = values, list[Window]()

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def part(self, window: Window) -> Part:
        self.windows.append(window)
        values = self.values[window.top : window.bottom, window.left : window.right].copy()
        return Part(values, window.top, window.left, (self.shape[0], self.shape[1]))

    def counts(self) -> np.ndarray:
        return np.bincount(self.values.ravel(), minlength=256)

    def pixel(self, class_id: int, number: int) -> tuple[int, int]:
        rows, columns = np.nonzero(self.values == class_id)
        return int(rows[number]), int(columns[number])


def both(augment: Augment, channels: int, seed: int) -> tuple[Held, Held]:
    """Compare the pair that is cropped whole with that of parts; returns the parts."""
    image, labels = Held(IMAGES[channels]), Held(LABELS)
    fill = tuple(range(9, 9 + channels))
    whole = random_pair(IMAGES[channels], LABELS, augment, np.random.default_rng(seed), fill)
    read = random_pair(image, labels, augment, np.random.default_rng(seed), fill)
    for expected, found in zip(whole, read, strict=True):
        assert np.array_equal(expected, found)
    return image, labels


@pytest.mark.parametrize("resampling", ["warp", "bilinear", "antialiased", "bicubic", "area"])
@pytest.mark.parametrize("rotate", [0.0, 25.0])
def test_crops_of_parts_equal_those_of_the_whole(resampling: str, rotate: float) -> None:
    settings = {"crop": (32, 48), "flip": 0.5, "scale": (0.4, 2.5), "rotate": rotate, "resampling": resampling}
    changes = [{}, {"class_crop": 0.7}, {"scale_axes": "independent", "aspect": 0.2}, {"scale": None, "translate": 3}]
    changes += [{"crop": (200, 64), "pad": "random"}, {"max_class_share": 0.6}, {"fit": (60, 100), "fit_by": "inside"}]
    for number, change in enumerate(changes):
        for channels in (3, (1, 5)[number % 2]):
            for seed in range(4):
                both(Augment(**(settings | change)), channels, seed)


def test_only_what_the_crop_shows_is_read() -> None:
    """Half of the size: 32x48 pixels show 64x96 of the image, and two more are read on either side."""
    augment = Augment(crop=(32, 48), scale=(0.5, 0.5))
    for seed, (image, labels) in itertools.chain((seed, both(augment, 3, seed)) for seed in range(5)):
        assert image.windows == labels.windows, seed
        (window,) = image.windows
        assert 64 <= window.bottom - window.top <= 64 + 6
        assert 96 <= window.right - window.left <= 96 + 6


def test_a_crop_beside_the_image_reads_a_pixel() -> None:
    for resampling in ("warp", "bilinear"):
        view = View((8, 8), (1.0, 1.0), (500.0, 500.0), resampling=resampling)
        window = reach(view, SIZE)
        assert window.pixels == 1
        part = Held(LABELS).part(window)
        assert (crop_labels(part, view) == IGNORE).all()


def test_what_was_not_read_is_refused() -> None:
    view = View((8, 8), (1.0, 1.0), (20.0, 20.0), resampling="bilinear")
    with pytest.raises(AssertionError, match="not in the part"):
        crop_image(Part(IMAGES[3][:25], 0, 0, SIZE), view)


def test_a_whole_that_opencv_cannot_address_is_shifted() -> None:
    """4 bytes times 30000x30000 pixels are more than 2^31: the crop is the rectangle itself."""
    size = (30000, 30000)
    assert 4 * size[0] * size[1] > ADDRESSED_BYTES
    view = View((20, 20), (1.0, 1.0), (29900.0, 29950.0))
    window = reach(view, size)
    values = IMAGES[3][: window.bottom - window.top, : window.right - window.left]
    part = Part(values, window.top, window.left, size)
    top, left = 29900 - window.top, 29950 - window.left
    assert np.array_equal(crop_image(part, view), values[top : top + 20, left : left + 20])
