"""Rasterises COCO segmentations exactly as the COCO API draws them (pycocotools 2.0).

A segmentation consists of polygons or is a run-length encoding. OpenCV's polygons would differ by a pixel along most
borders, so the published rule is followed: the outline is traced on a grid five times finer, and in every column of
pixels the parity of the crossings above a pixel's centre decides whether it is inside.

pycocotools is the oracle of the tests, not a dependency. Its pixels are the same (24,000 random polygons and encodings)
and it takes as long for objects of usual size, but it crashes on corners that are not finite or far outside the image,
and fills the rest of a truncated encoding with uninitialised memory. Using it safely would require the guards and the
decoding below all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_FINER = 5
# Outlines are traced step by step, so absurd ones are refused.
_FAR_OUTSIDE = 20
_LONGEST = 2_000_000
# COCO's compressed text stores differences of 32-bit integers, five bits per character.
_MOST_CHARACTERS = 7


def draw_segmentation(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Rasterise one object.

    Args:
        segmentation: A list of polygons `[x0, y0, x1, y1, ...]`, whose union is the object, or a dict with `counts` (a
            list, or the compressed text) and `size` (height, width).
        height: Height of the image.
        width: Width of the image.

    Returns:
        bool (height, width).

    Raises:
        ValueError: The segmentation is neither of these, is malformed, or has another size.
    """
    if isinstance(segmentation, dict):
        return draw_runs(segmentation.get("counts"), segmentation.get("size"), height, width)
    if not isinstance(segmentation, list):
        raise ValueError(f"the outline is a {type(segmentation).__name__}; expected polygons or a run-length encoding")
    mask = np.zeros((height, width), bool)
    for polygon in segmentation:
        if not isinstance(polygon, list):
            raise ValueError(f"a polygon is {_shown(polygon)}; expected a list of x and y")
        draw_polygon(polygon, mask)
    return mask


def outline_of(segmentation: Any) -> list[Any] | None:
    """One object of custom annotations, in the forms that tools write, as parts whose union it is.

    Args:
        segmentation: A polygon `[x0, y0, x1, y1, ...]` or `[[x0, y0], [x1, y1], ...]`, a list of these, a run-length
            encoding, or a list of those.

    Returns:
        Polygons `[x0, y0, ...]` of three or more corners and run-length encodings; None if nothing is outlined.

    Raises:
        ValueError: The segmentation is none of these; the message says what it is.
    """
    if isinstance(segmentation, dict):
        return [segmentation] if segmentation else None
    if not isinstance(segmentation, list):
        if segmentation is None or segmentation == "":
            return None
        raise ValueError(f"the outline is {_shown(segmentation)}; expected polygons or a run-length encoding")
    if not segmentation:
        return None
    if not any(isinstance(part, (list, dict)) for part in segmentation):
        return [_polygon_of(segmentation)]
    if len(segmentation) > 2 and all(_is_point(part) for part in segmentation):
        return [_polygon_of([value for point in segmentation for value in point])]
    parts = []
    for part in segmentation:
        if isinstance(part, list) and part and all(_is_point(point) for point in part):
            parts.append(_polygon_of([value for point in part for value in point]))
        elif isinstance(part, list):
            parts += [_polygon_of(part)] if part else []
        elif isinstance(part, dict):
            parts.append(part)
        else:
            raise ValueError(f"a part of the outline is {_shown(part)}; expected a polygon or a run-length encoding")
    return parts or None


def _is_point(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and not any(isinstance(one, (list, dict)) for one in value)


def _polygon_of(values: list[Any]) -> list[float]:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"a coordinate of a polygon is {_shown(value)}; expected a number")
    if len(values) % 2 or len(values) < 6:
        raise ValueError(f"a polygon has {len(values)} values; expected x and y of at least three corners")
    return values


def _shown(value: Any) -> str:
    """A JSON value for a message."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    text = f"the text '{value[:20]}'" if isinstance(value, str) else repr(value)
    return text if len(text) < 40 else f"a {type(value).__name__}"


def draw_polygon(corners: Sequence[float], mask: np.ndarray) -> None:
    """Set the pixels of a closed polygon in `mask`, bool (H, W), in place.

    Args:
        corners: `x0, y0, x1, y1, ...` in pixels; (0, 0) is the upper left corner of the image.
        mask: The mask in which the polygon's pixels are set to True.

    Raises:
        ValueError: The number of values is odd or less than four, or `check_corners` refuses them.
    """
    if len(corners) % 2 or len(corners) < 4:
        raise ValueError(f"a polygon has {len(corners)} values; expected x and y of at least two corners")
    height, width = mask.shape
    check_corners(corners, height, width)
    # Rounds towards zero, as C's conversion to int does.
    fine = (_FINER * np.asarray(corners, np.float64) + 0.5).astype(np.int64)
    u, v = _trace(fine[0::2], fine[1::2])
    # Where the trace passes the middle of a column of pixels (between the third and the fourth of its
    # five fine columns), all pixels below it flip between inside and outside.
    passes = np.flatnonzero(u[1:] != u[:-1])
    left = np.minimum(u[passes], u[passes + 1])
    columns, offset = (left - _FINER // 2) // _FINER, (left - _FINER // 2) % _FINER
    kept = (offset == 0) & (columns >= 0) & (columns < width)
    columns = columns[kept]
    if not len(columns):
        return
    upper = np.minimum(v[passes], v[passes + 1])[kept]
    rows = np.clip(-((_FINER // 2 - upper) // _FINER), 0, height)
    first, last = int(columns.min()), int(columns.max())
    # The columns are concatenated: a change below the last row is one at the top of the next column.
    changes = np.zeros((last - first + 1) * height + 1, np.uint8)
    # Only the parity counts, so uint8 may overflow.
    np.add.at(changes, (columns - first) * height + rows, 1)
    inside = (np.cumsum(changes[:-1], dtype=np.uint8) & 1).view(bool)
    mask[:, first : last + 1] |= inside.reshape(last - first + 1, height).T


def check_corners(corners: Sequence[float], height: int, width: int) -> None:
    """Refuse the corners of a polygon that make no sense.

    Args:
        corners: `x0, y0, x1, y1, ...` in pixels.
        height: Height of the image.
        width: Width of the image.

    Raises:
        ValueError: The corners are not finite or lie far outside the image, or the outline is so long that tracing it
            would take more than a gigabyte.
    """
    values = np.asarray(corners, np.float64)
    largest = np.abs(values).max(initial=0)
    if not np.isfinite(largest):
        raise ValueError("the corners of a polygon are not finite")
    if largest > _FAR_OUTSIDE * max(height, width):
        raise ValueError(f"a polygon reaches to {largest:g}, far outside the image of {width}x{height} (WxH)")
    points = values.reshape(-1, 2)
    length = np.abs(np.roll(points, -1, axis=0) - points).max(axis=1).sum()
    if length > _LONGEST:
        raise ValueError(f"a polygon's outline is {length:.0f} pixels long; expected at most {_LONGEST}")


def draw_runs(counts: Any, size: Any, height: int, width: int) -> np.ndarray:
    """Decode a run-length encoding: lengths of alternating runs of 0 and 1, column by column.

    Returns:
        bool (height, width).

    Raises:
        ValueError: The encoding cannot be read, or its runs do not fill the image.
    """
    if not isinstance(size, (list, tuple)) or list(size) != [height, width]:
        raise ValueError(f"a run-length encoding is of size {size}; expected {[height, width]}, the size of the image")
    if isinstance(counts, str):
        lengths = decode_counts(counts)
        covered = int(lengths.sum())
    elif isinstance(counts, list) and all(type(count) is int and count >= 0 for count in counts):
        covered = sum(counts)
        lengths = np.array(counts if covered == height * width else [], np.int64)
    else:
        raise ValueError("a run-length encoding is neither text nor a list of integers from 0")
    if covered != height * width or lengths.min(initial=0) < 0:
        raise ValueError(f"a run-length encoding covers {covered} pixels; expected {height * width}")
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(width, height).T


def decode_counts(text: str) -> np.ndarray:
    """The run lengths in COCO's compressed text, int64 (N,).

    Each character holds five bits of a number, the lowest first. Bit 32 says that more characters follow; bit 16 of the
    last one says that the number is negative. From the fourth number on, the text holds the difference from the number
    two places before.

    Raises:
        ValueError: A character is out of range, a number is too long, or the text ends within one.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64) - 48
    wrong = np.flatnonzero((codes < 0) | (codes >= 64))
    if len(wrong):
        raise ValueError(f"a run-length encoding contains the invalid character {text[wrong[0]]!r}")
    stops = np.flatnonzero(codes & 32 == 0) + 1
    if not len(codes):
        return np.zeros(0, np.int64)
    if not len(stops) or stops[-1] != len(codes):
        raise ValueError("a run-length encoding ends within a number")
    starts = np.concatenate([[0], stops[:-1]])
    characters = stops - starts
    if characters.max() > _MOST_CHARACTERS:
        raise ValueError(f"a run-length encoding contains a number of {characters.max()} characters")
    shifts = 5 * (np.arange(len(codes)) - np.repeat(starts, characters))
    numbers = np.add.reduceat((codes & 31) << shifts, starts)
    numbers -= np.where(codes[stops - 1] & 16, 1 << 5 * characters, 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def _trace(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Trace a closed polygon on the fine grid: one point per step along the longer axis of each edge.

    Args:
        x: int64 (N,) columns of the corners on the fine grid.
        y: int64 (N,) rows of the corners on the fine grid.

    Returns:
        int64 (M,) columns and rows of the points, edge after edge, both ends of each included.
    """
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    dx, dy = np.abs(next_x - x), np.abs(next_y - y)
    flat = dx >= dy
    steps = np.maximum(dx, dy)
    # Each edge is computed from its smaller end, so that both directions give the same points.
    turned = np.where(flat, x > next_x, y > next_y)
    start_x, start_y = np.where(turned, next_x, x), np.where(turned, next_y, y)
    rise = np.where(flat, next_y - y, next_x - x) * np.where(turned, -1, 1)
    slope = rise / np.maximum(steps, 1)

    edge = np.repeat(np.arange(len(x)), steps + 1)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(steps + 1) - steps - 1, steps + 1)
    step = np.where(turned[edge], steps[edge] - step, step)
    base = np.where(flat, start_y, start_x)[edge]
    across = (base + slope[edge] * step + 0.5).astype(np.int64)
    along = np.where(flat, start_x, start_y)[edge] + step
    return np.where(flat[edge], along, across), np.where(flat[edge], across, along)
