"""How the values of a mask lie: which of them cover areas, and which occur only between two others.

A class covers areas. Values that interpolation, lossy compression or noise add lie on borders or as single pixels, and
interpolated ones are larger than one neighbour and smaller than another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import cv2
import msgspec
import numpy as np

from pixelwise.datasets.labels import color_codes
from pixelwise.recipes.class_sets.tables import IGNORE

MAX_VALUES = 1000
"""Values with the most pixels that are kept: a photo may have 100 000 colours."""
_LARGEST = 65535
# A mask of flat colours has hardly more; noise and compression make hundreds.
_FEW_COLORS = 64
_NOISE = 12
_SQUARE = np.ones((3, 3), np.uint8)


class Areas(msgspec.Struct, frozen=True, array_like=True):
    """Where the values of one mask lie; the keys are raw values, or colours as `0xrrggbb`.

    Attributes:
        pixels: Value -> number of pixels, the most frequent first.
        inner: Value -> number of pixels whose eight neighbours have the same value. In a mask of very many colours,
            which noise or compression has changed, the colours are those of a median filter and neighbours may differ
            slightly.
        between: Value -> number of pixels that are larger than one of their neighbours and smaller than another; empty
            for colours.
        steps: Number of pixels beside a step of at least two from one value to another, 255 left out.
        ramps: Number of those pixels whose own value lies between the smallest and the largest around them.
        colored: Whether the keys are colours.
        noisy: Whether `inner` was measured through a median filter.
        values: Number of different values, those included that are not kept.
    """

    pixels: dict[int, int] = {}
    inner: dict[int, int] = {}
    between: dict[int, int] = {}
    steps: int = 0
    ramps: int = 0
    colored: bool = False
    noisy: bool = False
    values: int = 0


NO_AREAS = Areas()


def measure(values: np.ndarray, rows: slice = slice(None)) -> Areas:
    """Where the values of a mask lie.

    Args:
        values: Integers (H, W), or uint8 (H, W, 3) colours.
        rows: Rows whose pixels are counted; the others are only their surroundings.
    """
    colored = values.ndim == 3
    codes = color_codes(values) if colored else values
    pixels, number = _counts(codes[rows])
    if min(codes.shape) < 3:
        return Areas(pixels, colored=colored, values=number)
    inner, _ = _counts(codes[rows][inner_pixels(codes)[rows]])
    if colored:
        noisy = number > _FEW_COLORS and 2 * sum(inner.values()) < codes[rows].size
        if noisy:
            inner = _inner_colors(values, rows)
        return Areas(pixels, inner, colored=True, noisy=noisy, values=number)
    if codes.min() < 0 or codes.max() > _LARGEST:
        return Areas(pixels, inner, values=number)
    narrow = codes if codes.dtype in (np.uint8, np.uint16) else codes.astype(np.uint16)
    low, high = (side[rows] for side in around(narrow))
    narrow = narrow[rows]
    ramp = (low < narrow) & (narrow < high)
    beside = (high >= low.astype(np.int32) + 2) & (high != IGNORE)
    steps, ramps = int(np.count_nonzero(beside)), int(np.count_nonzero(ramp & beside))
    return Areas(pixels, inner, _counts(narrow[ramp])[0], steps, ramps, values=number)


def joined(parts: Iterable[Areas]) -> Areas:
    """Where the values of a mask lie, from disjoint parts of its rows."""
    pixels, inner, between = (Counter[int]() for _ in range(3))
    steps = ramps = values = 0
    colored = noisy = False
    for part in parts:
        for total, counts in ((pixels, part.pixels), (inner, part.inner), (between, part.between)):
            total.update(counts)
        steps, ramps, values = steps + part.steps, ramps + part.ramps, max(values, part.values)
        colored, noisy = colored or part.colored, noisy or part.noisy
    most, most_inner, most_between = (dict(_ordered(counts)[:MAX_VALUES]) for counts in (pixels, inner, between))
    return Areas(most, most_inner, most_between, steps, ramps, colored, noisy, max(values, len(pixels)))


def _ordered(counts: Mapping[int, int]) -> list[tuple[int, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def inner_pixels(codes: np.ndarray) -> np.ndarray:
    """Bool (H, W): pixels whose eight neighbours have their value; none at the edge of the image."""
    result = np.zeros(codes.shape, bool)
    if min(codes.shape) < 3:
        return result
    across = codes[:, 1:] == codes[:, :-1]
    row = across[:, 1:] & across[:, :-1]
    down = codes[1:, 1:-1] == codes[:-1, 1:-1]
    result[1:-1, 1:-1] = row[:-2] & row[1:-1] & row[2:] & down[1:] & down[:-1]
    return result


def around(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest value of each pixel and its eight neighbours.

    Args:
        values: uint8 or uint16 (H, W), or uint8 (H, W, 3).
    """
    values = np.ascontiguousarray(values)
    return np.asarray(cv2.erode(values, _SQUARE)), np.asarray(cv2.dilate(values, _SQUARE))


def _inner_colors(rgb: np.ndarray, rows: slice) -> dict[int, int]:
    """Median colour -> number of pixels among nearly equal neighbours."""
    median = np.asarray(cv2.medianBlur(np.ascontiguousarray(rgb), 3))
    low, high = around(median)
    even = (high.astype(np.int16) - low).max(axis=-1) <= _NOISE
    return _counts(color_codes(median)[rows][even[rows]])[0]


def _counts(values: np.ndarray) -> tuple[dict[int, int], int]:
    """Value -> number of pixels for the most frequent values, and the number of all different ones."""
    unique, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MAX_VALUES]
    return dict(zip(unique[order].tolist(), counts[order].tolist(), strict=True)), len(unique)
