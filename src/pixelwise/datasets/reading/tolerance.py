"""Reading of masks whose values were changed after they were drawn, by `data.mask_tolerance`.

Interpolation, lossy compression and noise add values that no class has. Each takes the class of the nearest named value
if it is near enough and such a class lies beside the pixel; otherwise nobody knows what it was, and it is ignored. A
value that covers areas was drawn: without a name it stays unknown, however near it is to nothing.
"""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np

from pixelwise.datasets.labels import LabelTable, color_codes, parse_color
from pixelwise.datasets.reading.areas import around, inner_pixels
from pixelwise.recipes.class_sets.tables import IGNORE

_BESIDE = np.ones((5, 5), np.uint8)
# A value of which at least this share lies inside areas was drawn.
_DRAWN = 0.1
# No tolerance reaches so far. Differences of numbers below the second limit fit into 64 bits.
_FAR, _HALF = 1 << 16, 1 << 62


def snap_ids(values: np.ndarray, table: LabelTable, tolerance: int) -> tuple[np.ndarray, dict[int, int]]:
    """Class ids of a mask with one channel.

    Args:
        values: Raw values (H, W) of any integer dtype.
        table: Its raw values are the named ones.
        tolerance: Largest difference from a named value.

    Returns:
        uint8 (H, W) class ids with 255 = ignored, and the unknown raw values with their pixel counts.
    """
    unique, where = _unique(values)
    labels, distance = _nearest_ids(unique, table)
    exact = (distance == 0)[where]
    if values.dtype in (np.uint8, np.uint16):
        # A border between two classes may pass through the value of a third one.
        low, high = around(values)
        exact &= (values == low) | (values == high)
    return _settle(values, unique, where, labels, distance > tolerance, exact)


def snap_colors(rgb: np.ndarray, table: LabelTable, tolerance: int) -> tuple[np.ndarray, dict[int, int]]:
    """Class ids of an RGB mask; colours differ by their largest difference of a channel.

    Args:
        rgb: Colours of the mask, uint8 (H, W, 3).
        table: Its colours are the named ones.
        tolerance: Largest difference from a named colour.

    Returns:
        As for `snap_ids`; unknown colours are keyed by `0xrrggbb`.
    """
    codes = color_codes(rgb)
    unique, where = _unique(codes)
    labels, distance = _nearest_colors(unique, table)
    return _settle(codes, unique, where, labels, distance > tolerance, (distance == 0)[where])


class Strangers:
    """The values of a mask that are too far from every named one, of which it is seen in parts.

    Args:
        table: As for `snap_ids` and `snap_colors`, with its tolerance.
    """

    def __init__(self, table: LabelTable) -> None:
        self._table, self._pixels, self._inner = table, Counter[int](), Counter[int]()

    def add(self, values: np.ndarray, rows: slice = slice(None)) -> None:
        """Count a part.

        Args:
            values: Raw values (H, W), if the table names values, or colours uint8 (H, W, 3), if it names colours.
            rows: Rows whose pixels are counted; the others are only their surroundings.
        """
        codes = color_codes(values) if values.ndim == 3 else values
        unique, where = _unique(codes[rows])
        _, distance = (_nearest_colors if values.ndim == 3 else _nearest_ids)(unique, self._table)
        far = np.flatnonzero(distance > (self._table.tolerance or 0))
        inside = where[inner_pixels(codes)[rows]]
        for counts, found in ((self._pixels, where.ravel()), (self._inner, inside)):
            numbers = np.bincount(found, minlength=len(unique))
            counts.update({int(unique[i]): int(numbers[i]) for i in far})

    def drawn(self) -> dict[int, int]:
        """The values that cover areas, so that they should have a name -> number of pixels, colours as `0xrrggbb`."""
        return {
            value: pixels
            for value, pixels in self._pixels.items()
            if (inner := self._inner[value]) > 0 and inner >= _DRAWN * pixels
        }


def _nearest_colors(unique: np.ndarray, table: LabelTable) -> tuple[np.ndarray, np.ndarray]:
    """As `_nearest_ids`, for colours `0xrrggbb`."""
    channels = np.stack([unique >> 16, unique >> 8 & 255, unique & 255], axis=-1).astype(np.int64)
    best = np.full(len(unique), np.iinfo(np.int64).max)
    labels = np.full(len(unique), IGNORE, np.uint8)
    for text, class_id in table.colors.items():
        distance = np.abs(channels - np.array(parse_color(text))).max(axis=-1)
        labels[(distance == best) & (labels != class_id)] = IGNORE
        labels[distance < best] = class_id
        best = np.minimum(best, distance)
    return labels, best


def _nearest_ids(unique: np.ndarray, table: LabelTable) -> tuple[np.ndarray, np.ndarray]:
    """Class of the nearest named value for each value, 255 where two classes are equally near, and its distance."""
    names = sorted(table.ids)
    return _nearest(_distances(unique, names), [table.ids[name] for name in names])


def _unique(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    unique, where = np.unique(values, return_inverse=True)
    return unique, where.reshape(values.shape)


def _distances(unique: np.ndarray, names: list[int]) -> np.ndarray:
    """Distance of every value from every name, at most `_FAR`: (values, names), exact for all 64-bit integers."""
    ends = (int(unique.min()), int(unique.max()), names[0], names[-1])
    wide = np.int64 if all(abs(end) < _HALF for end in ends) else object
    differences = np.abs(unique.astype(wide)[:, None] - np.array(names, wide))
    return np.minimum(differences, _FAR).astype(np.int64)


def _nearest(distances: np.ndarray, classes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Class of the nearest name for each value, 255 where two names of different classes are equally near."""
    nearest = distances.min(axis=1)
    meanings = np.array(classes, np.uint8)
    ties = distances == nearest[:, None]
    labels = meanings[ties.argmax(axis=1)]
    other = (ties & (meanings[None] != labels[:, None])).any(axis=1)
    return np.where(other, np.uint8(IGNORE), labels), nearest


def _settle(
    values: np.ndarray, unique: np.ndarray, where: np.ndarray, labels: np.ndarray, far: np.ndarray, exact: np.ndarray
) -> tuple[np.ndarray, dict[int, int]]:
    """Keep exact pixels and those beside an area of their class; ignore the others.

    Args:
        values: The mask, (H, W).
        unique: Its values.
        where: (H, W) positions in `unique`.
        labels: Class of each value.
        far: Whether each value is too far from every named one.
        exact: bool (H, W): pixels whose value is named and trusted.
    """
    pixels = np.bincount(where.ravel(), minlength=len(unique))
    drawn = np.bincount(where[inner_pixels(values)], minlength=len(unique))
    is_unknown = far & (drawn >= _DRAWN * pixels) & (drawn > 0)
    found = np.where(far, np.uint8(IGNORE), labels)[where]
    inside = inner_pixels(found)
    kept = exact.copy()
    for class_id in np.unique(found):
        areas = ((found == class_id) & inside).astype(np.uint8)
        kept |= (found == class_id) & (np.asarray(cv2.dilate(areas, _BESIDE)) > 0)
    unknown = {int(unique[i]): int(pixels[i]) for i in np.nonzero(is_unknown)[0]}
    return np.where(kept, found, np.uint8(IGNORE)), unknown
