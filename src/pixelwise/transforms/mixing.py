"""CutMix and ClassMix: a part of one training pair replaced with that of another, on arrays."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pixelwise.recipes.class_sets.tables import IGNORE

CUT_AREA = 0.5


def mix_pair(
    image: np.ndarray,
    labels: np.ndarray,
    other_image: np.ndarray,
    other_labels: np.ndarray,
    kind: Literal["cutmix", "classmix"],
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """The pair with a part of the other one pasted at the same position; the arguments are not modified.

    Args:
        image: uint8 (H, W, C) array.
        labels: uint8 (H, W), class ids or 255; with `cutmix` also int32 (H, W) bit fields.
        other_image: Image to paste from, of the same size.
        other_labels: Labels of `other_image`; with `classmix`, ignored pixels are never pasted.
        kind: Shape of the part: a rectangle, or the pixels of half of the other pair's classes.
        random: Random generator to draw from.
    """
    pasted = draw_rectangle(labels.shape, random) if kind == "cutmix" else draw_classes(other_labels, random)
    return np.where(pasted[..., None], other_image, image), np.where(pasted, other_labels, labels)


def draw_rectangle(size: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Draw a rectangle of half the area with random proportions and position, bool (H, W)."""
    height_share = CUT_AREA ** random.random()
    sides = round(size[0] * height_share), round(size[1] * CUT_AREA / height_share)
    top, left = (int(random.integers(whole - side + 1)) for whole, side in zip(size, sides, strict=True))
    pasted = np.zeros(size, bool)
    pasted[top : top + sides[0], left : left + sides[1]] = True
    return pasted


def draw_classes(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw half of the classes in `labels`, rounded up, and return their pixels, bool (H, W)."""
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=256)[:IGNORE])
    chosen = np.zeros(256, bool)
    chosen[random.permutation(present)[: (present.size + 1) // 2]] = True
    return chosen[labels]
