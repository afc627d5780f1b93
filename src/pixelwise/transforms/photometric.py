"""Random colour distortion of uint8 pixels, clipped after every step, as in the published code bases.

The alternative, one matrix per image applied on the device, is in `color`.
"""

from __future__ import annotations

import cv2
import numpy as np

from pixelwise.recipes.schema.recipe import Augment

BRIGHTNESS = 32.0
FACTORS = (0.5, 1.5)
HUE = 18
HUES = 180
"""Number of OpenCV's hues for uint8 pixels: 0..179, two degrees each."""


def changes_pixels(augment: Augment) -> bool:
    """Whether `distort` can change anything."""
    return augment.photometric != "none" or augment.brightness_shift > 0


def distort(image: np.ndarray, augment: Augment, random: np.random.Generator) -> np.ndarray:
    """Apply `augment.photometric`, then `augment.brightness_shift`.

    Args:
        image: uint8 (H, W, 3) RGB, or any number of channels for `brightness_shift` alone; not modified.
        augment: Augmentation section of a recipe.
        random: Random generator to draw from.

    Returns:
        uint8 of the same shape; `image` itself if no change was drawn.
    """
    if augment.photometric == "mmseg":
        # sssegmentation applies this to BGR as if it were RGB: its hue shifts the other way, equally distributed.
        place = ("first", "last")[random.integers(2)]
        image = _distort(image, 1 / 2, place, int(random.integers(-HUE, HUE)), random)
    elif augment.photometric == "united-perception":
        # Python's randint(0, 2) has three values where mmseg's has two: steps are applied with probability 2/3, and in
        # a third of the draws contrast comes neither first nor last.
        place = ("first", "last", "never")[random.integers(3)]
        image = _distort(image, 2 / 3, place, int(random.integers(-HUE, HUE + 1)), random)
    if augment.brightness_shift and random.random() < 0.5:
        shift = augment.brightness_shift
        image = add(image, float(random.integers(-shift, shift + 1)))
    return image


def add(image: np.ndarray, amount: float) -> np.ndarray:
    """Add `amount` to every value, clip to 0..255 and drop fractions."""
    # OpenCV drops the axis of a single channel.
    return cv2.LUT(image, _table(1.0, amount)).reshape(image.shape)


def multiply(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply every value by `factor`, clip to 0..255 and drop fractions."""
    return cv2.LUT(image, _table(factor, 0.0))


def saturate(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply the saturation (OpenCV's HSV, 0..255) by `factor`, clip and drop fractions."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[..., 1] = cv2.LUT(hsv[..., 1], _table(factor, 0.0))
    # In place: allocating the memory of a third image would take as long as the conversion.
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB, dst=hsv)


def shift_hue(image: np.ndarray, steps: int) -> np.ndarray:
    """Add `steps` to the hue (OpenCV's, 0..179), around the circle."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    # Hues are below 180; the rest of the table is never used.
    table = ((np.arange(256) + steps) % HUES).astype(np.uint8)
    hsv[..., 0] = cv2.LUT(hsv[..., 0], table)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB, dst=hsv)


def _distort(image: np.ndarray, probability: float, contrast: str, hue: int, random: np.random.Generator) -> np.ndarray:
    fires = random.random(4) < probability
    brightness = random.uniform(-BRIGHTNESS, BRIGHTNESS)
    factor, saturation = random.uniform(*FACTORS, size=2)
    if fires[0]:
        image = add(image, brightness)
    if fires[1] and contrast == "first":
        image = multiply(image, factor)
    if fires[2]:
        image = saturate(image, saturation)
    if fires[3]:
        image = shift_hue(image, hue)
    if fires[1] and contrast == "last":
        image = multiply(image, factor)
    return image


def _table(factor: float, amount: float) -> np.ndarray:
    """Lookup table of the new values, uint8 (256,), computed in float32 as in the code bases."""
    values = np.arange(256, dtype=np.float32) * np.float32(factor) + np.float32(amount)
    return np.clip(values, 0, 255).astype(np.uint8)
