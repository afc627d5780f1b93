"""COCO's object outlines -> pixels, exactly as the COCO API draws them (pycocotools 2.0).

An outline is a polygon or a run-length code. OpenCV's polygons would differ by a pixel along most
borders, so the published rule is followed: the outline is traced on a grid five times finer, and in
every column of pixels the parity of the crossings above a pixel's centre decides.

pycocotools is the oracle of the tests and no dependency: its pixels are the same (24,000 random polygons
and codes) and it needs as long for objects of usual size, but it crashes on corners that are not finite or
far outside the image, and fills what a code that is cut off leaves open with whatever lies in memory. To
use it safely would take the guards below and the decoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_FINER = 5
# An outline is traced step by step, so nonsense is refused.
_FAR_OUTSIDE = 20
_LONGEST = 2_000_000
# COCO's text holds differences of 32-bit numbers, five bits per character.
_MOST_CHARACTERS = 7


def draw_segmentation(segmentation: Any, height: int, width: int) -> np.ndarray:
    """The pixels of one object.

    Args:
        segmentation: A list of polygons `[x0, y0, x1, y1, ...]` whose union it is, or a dict with
            `counts` (a list, or the compressed text) and `size` (height, width).
        height: Height of the image.
        width: Width of the image.

    Returns:
        bool (height, width).

    Raises:
        ValueError: It is none of these, or a run-length code of another size.
    """
    if isinstance(segmentation, dict):
        return draw_runs(segmentation.get("counts"), segmentation.get("size"), height, width)
    if not isinstance(segmentation, list):
        raise ValueError(f"the outline is a {type(segmentation).__name__}; expected polygons or a run-length code")
    mask = np.zeros((height, width), bool)
    for polygon in segmentation:
        draw_polygon(polygon, mask)
    return mask


def draw_polygon(corners: Sequence[float], mask: np.ndarray) -> None:
    """Set the pixels of a closed polygon in `mask`, bool (H, W), in place.

    Args:
        corners: x and y of the corners in turn, in pixels; (0, 0) is the upper left corner of the image.
        mask: Bool (H, W), in which the polygon's pixels become true.

    Raises:
        ValueError: An odd number of values, fewer than two corners, or what `check_corners` refuses.
    """
    if len(corners) % 2 or len(corners) < 4:
        raise ValueError(f"a polygon has {len(corners)} values; expected x and y of two corners or more")
    height, width = mask.shape
    check_corners(corners, height, width)
    # C's conversion to int: towards zero.
    fine = (_FINER * np.asarray(corners, np.float64) + 0.5).astype(np.int64)
    u, v = _trace(fine[0::2], fine[1::2])
    # Where the trace passes the middle of a column of pixels (between the third and the fourth of its
    # five fine columns), everything below changes sides.
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
    # Column after column, as one line: a change below the last row is one at the top of the next column.
    changes = np.zeros((last - first + 1) * height + 1, np.uint8)
    # Only the parity counts, so uint8 may overflow.
    np.add.at(changes, (columns - first) * height + rows, 1)
    inside = (np.cumsum(changes[:-1], dtype=np.uint8) & 1).view(bool)
    mask[:, first : last + 1] |= inside.reshape(last - first + 1, height).T


def check_corners(corners: Sequence[float], height: int, width: int) -> None:
    """Refuse the corners of a polygon that cannot be meant.

    Args:
        corners: x and y in turn, in pixels.
        height: Height of the image.
        width: Width of the image.

    Raises:
        ValueError: They are not finite, lie far outside the image, or the outline is so long that tracing it takes
            more than a gigabyte.
    """
    values = np.asarray(corners, np.float64)
    largest = np.abs(values).max(initial=0)
    if not np.isfinite(largest):
        raise ValueError("a polygon's corners are not finite numbers")
    if largest > _FAR_OUTSIDE * max(height, width):
        raise ValueError(f"a polygon reaches to {largest:g}, far outside the image of {height}x{width} (HxW)")
    points = values.reshape(-1, 2)
    length = np.abs(np.roll(points, -1, axis=0) - points).max(axis=1).sum()
    if length > _LONGEST:
        raise ValueError(f"a polygon's outline is {length:.0f} pixels long; expected {_LONGEST} or fewer")


def draw_runs(counts: Any, size: Any, height: int, width: int) -> np.ndarray:
    """The pixels of a run-length code: lengths of runs of 0 and 1 in turn, column after column.

    Returns:
        bool (height, width).

    Raises:
        ValueError: The code cannot be read, or its runs do not fill the image.
    """
    if list(size or ()) != [height, width]:
        raise ValueError(f"a run-length code is of size {size}; expected {[height, width]}, the image's")
    if isinstance(counts, str):
        lengths = decode_counts(counts)
        covered = int(lengths.sum())
    elif isinstance(counts, list) and all(isinstance(count, int) and count >= 0 for count in counts):
        covered = sum(counts)
        lengths = np.array(counts if covered == height * width else [], np.int64)
    else:
        raise ValueError("a run-length code is neither text nor a list of numbers")
    if covered != height * width or lengths.min(initial=0) < 0:
        raise ValueError(f"a run-length code covers {covered} pixels; expected {height * width}")
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(width, height).T


def decode_counts(text: str) -> np.ndarray:
    """The run lengths in COCO's compressed text, int64 (N,).

    Each character holds five bits, the lowest first; 32 says that more follow and 16 in the last one
    that the number is negative. From the fourth on, the number is the difference from the one two before.

    Raises:
        ValueError: A character is out of range, a number is too long, or the text ends within one.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64) - 48
    wrong = np.flatnonzero((codes < 0) | (codes >= 64))
    if len(wrong):
        raise ValueError(f"a run-length code holds the character {text[wrong[0]]!r}")
    stops = np.flatnonzero(codes & 32 == 0) + 1
    if not len(codes):
        return np.zeros(0, np.int64)
    if not len(stops) or stops[-1] != len(codes):
        raise ValueError("a run-length code ends within a number")
    starts = np.concatenate([[0], stops[:-1]])
    characters = stops - starts
    if characters.max() > _MOST_CHARACTERS:
        raise ValueError(f"a run-length code holds a number of {characters.max()} characters")
    shifts = 5 * (np.arange(len(codes)) - np.repeat(starts, characters))
    numbers = np.add.reduceat((codes & 31) << shifts, starts)
    numbers -= np.where(codes[stops - 1] & 16, 1 << 5 * characters, 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def _trace(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points of the closed polygon on the fine grid: every step along the longer side of each edge.

    Args:
        x: int64 (N,) corners on the fine grid.
        y: Rows of the corners.

    Returns:
        int64 (M,) columns and rows, edge after edge, both ends of each included.
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
