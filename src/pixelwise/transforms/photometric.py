"""Random colours on uint8 pixels, clipped after every step, as the published code bases do it.

The other way, one matrix per image on the device, is in `color`.
"""

from __future__ import annotations

import cv2
import numpy as np

from pixelwise.recipes.schema.recipe import Augment

BRIGHTNESS = 32.0
FACTORS = (0.5, 1.5)
HUE = 18
HUES = 180
"""OpenCV's hues of uint8 pixels: 0..179, two degrees each."""


def changes_pixels(augment: Augment) -> bool:
    """Whether `distort` can change anything."""
    return augment.photometric != "none" or augment.brightness_shift > 0


def distort(image: np.ndarray, augment: Augment, random: np.random.Generator) -> np.ndarray:
    """`augment.photometric`, then `augment.brightness_shift`.

    Args:
        image: uint8 (H, W, 3), RGB, for `brightness_shift` alone of any channels; left as it is.
        augment: The augmentation section of a recipe.
        random: Random generator that decides every choice.

    Returns:
        Of the same shape; `image` itself where nothing was drawn.
    """
    if augment.photometric == "mmseg":
        # sssegmentation applies this to BGR as if it were RGB: its hue moves the other way, alike in distribution.
        place = ("first", "last")[random.integers(2)]
        image = _distort(image, 1 / 2, place, int(random.integers(-HUE, HUE)), random)
    elif augment.photometric == "united-perception":
        # Python's randint(0, 2) has three values where mmseg's has two: ops fire at 2/3, and of the two
        # places for contrast a third one is neither.
        place = ("first", "last", "never")[random.integers(3)]
        image = _distort(image, 2 / 3, place, int(random.integers(-HUE, HUE + 1)), random)
    if augment.brightness_shift and random.random() < 0.5:
        shift = augment.brightness_shift
        image = add(image, float(random.integers(-shift, shift + 1)))
    return image


def add(image: np.ndarray, amount: float) -> np.ndarray:
    """Every value plus `amount`, clipped to 0..255, fractions dropped."""
    # OpenCV drops the axis of a single channel.
    return cv2.LUT(image, _table(1.0, amount)).reshape(image.shape)


def multiply(image: np.ndarray, factor: float) -> np.ndarray:
    """Every value times `factor`, clipped to 0..255, fractions dropped."""
    return cv2.LUT(image, _table(factor, 0.0))


def saturate(image: np.ndarray, factor: float) -> np.ndarray:
    """Saturation (OpenCV's HSV, 0..255) times `factor`, clipped, fractions dropped."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[..., 1] = cv2.LUT(hsv[..., 1], _table(factor, 0.0))
    # In place: getting pages for a third picture would take as long as the conversion.
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB, dst=hsv)


def shift_hue(image: np.ndarray, steps: int) -> np.ndarray:
    """Hue (OpenCV's, 0..179) plus `steps`, around the circle."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    # Hues are below 180; the rest of the table is never looked up.
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
    """uint8 (256,): what each value becomes; float32 as in the code bases."""
    values = np.arange(256, dtype=np.float32) * np.float32(factor) + np.float32(amount)
    return np.clip(values, 0, 255).astype(np.uint8)
