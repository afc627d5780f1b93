"""Pictures of multi-label bit fields, in which every combination of classes has its own index and colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pixelwise.prediction.overlays import VOID, as_picture
from pixelwise.recipes.class_sets.tables import IGNORE, IGNORE_BIT, Color

MOST_COMBINATIONS = 254
"""Largest number of indices; 254 and 255 have other meanings in the pictures of reports."""
_TABLE_BITS = 16


def packed(present: np.ndarray) -> np.ndarray:
    """Bit fields int32 (H, W) from planes (K, H, W) that are non-zero where a class is present."""
    bits = np.zeros(present.shape[1:], np.int32)
    for class_id, plane in enumerate(present):
        np.bitwise_or(bits, 1 << class_id, out=bits, where=plane != 0)
    return bits


def unpacked(bits: np.ndarray, num_classes: int) -> np.ndarray:
    """Planes uint8 (K, H, W) of 0 and 1 from bit fields int32 (H, W)."""
    planes = np.empty((num_classes, *bits.shape), np.uint8)
    for class_id in range(num_classes):
        planes[class_id] = bits >> class_id & 1
    return planes


def indexed(fields: Sequence[np.ndarray]) -> tuple[list[np.ndarray], tuple[int, ...]]:
    """Convert several bit fields to indices into one list of combinations.

    Args:
        fields: Bit fields int32 (H, W), `IGNORE_BIT` where ignored.

    Returns:
        The indices of each field, uint8 (H, W), 255 where ignored; and the bit field of every index: "no class" first,
        then the others by decreasing frequency. If there are more than `MOST_COMBINATIONS`, each of the rarest is
        replaced by the most similar one that is kept.
    """
    values = np.concatenate([field.ravel() for field in fields])
    ignored = values == IGNORE_BIT
    found, places, counts = _distinct(np.where(ignored, 0, values))
    order = sorted(range(len(found)), key=lambda i: (found[i] != 0, -counts[i], found[i]))
    combinations = [int(found[i]) for i in order]
    if 0 not in combinations:
        combinations.insert(0, 0)
    kept = combinations[:MOST_COMBINATIONS]
    index = {combination: place for place, combination in enumerate(kept)}
    for combination in combinations[MOST_COMBINATIONS:]:
        index[combination] = min(range(len(kept)), key=lambda place: (kept[place] ^ combination).bit_count())
    lookup = np.array([index[int(combination)] for combination in found], np.uint8)
    indices = np.where(ignored, np.uint8(IGNORE), lookup[places])
    parts = np.split(indices, np.cumsum([field.size for field in fields])[:-1])
    return [part.reshape(field.shape) for part, field in zip(parts, fields, strict=True)], tuple(kept)


def mixed_colors(combinations: Sequence[int], palette: Sequence[Color]) -> tuple[Color, ...]:
    """Mean colour of the classes of each combination; black for "no class"."""
    colors: list[Color] = []
    for combination in combinations:
        members = [color for class_id, color in enumerate(palette) if combination >> class_id & 1]
        if not members:
            colors.append(VOID)
            continue
        red, green, blue = (round(sum(channel) / len(members)) for channel in zip(*members, strict=True))
        colors.append((red, green, blue))
    return tuple(colors)


def blend_classes(image: np.ndarray, bits: np.ndarray, palette: Sequence[Color], alpha: float) -> np.ndarray:
    """Overlay an image with the mean colour of each pixel's classes.

    Args:
        image: Image uint8 (H, W, C), converted by `overlays.as_picture`.
        bits: Bit fields int32 (H, W); pixels without a class, and ignored ones, show the image.
        palette: Colour of each class.
        alpha: Opacity of the colours, 0..1.

    Returns:
        The picture, uint8 (H, W, 3).
    """
    image = as_picture(image)
    found, places, _ = _distinct(np.where(bits == IGNORE_BIT, 0, bits))
    colors = np.array(mixed_colors(found.tolist(), palette), np.uint16)
    # Integer arithmetic in 1/256, as for class ids.
    weight = round(alpha * 256)
    weights = np.where(found == 0, 0, weight).astype(np.uint16)
    own = (colors * weights[:, None])[places].reshape(image.shape)
    kept = (256 - weights)[places].reshape(*image.shape[:2], 1)
    return ((image.astype(np.uint16) * kept + own + 128) >> 8).astype(np.uint8)


def _distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct values in ascending order, the index of each flattened value among them, and their counts."""
    flat = values.ravel()
    if flat.size and int(flat.max()) < 1 << _TABLE_BITS:
        histogram = np.bincount(flat)  # 20 times as fast as sorting
        found = np.flatnonzero(histogram)
        place = np.zeros(len(histogram), np.intp)
        place[found] = np.arange(len(found))
        return found, place[flat], histogram[found]
    found, places, counts = np.unique(flat, return_inverse=True, return_counts=True)
    return found, places, counts
