"""COCO's object outlines -> pixels, exactly as the COCO API draws them (pycocotools 2.0).

An outline is a polygon or a run-length code. OpenCV's polygons would differ by a pixel along most
borders, so the published rule is followed: the outline is traced on a grid five times finer, and in
every column of pixels the parity of the crossings above a pixel's centre decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_FINER = 5


def draw_segmentation(segmentation: Any, height: int, width: int) -> np.ndarray:
    """The pixels of one object.

    Args:
        segmentation: A list of polygons `[x0, y0, x1, y1, ...]` whose union it is, or a dict with
            `counts` (a list, or the compressed text) and `size` (height, width).
        height: Of the image.
        width: Of the image.

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
        mask: The image's pixels.

    Raises:
        ValueError: An odd number of values, or fewer than two corners.
    """
    if len(corners) % 2 or len(corners) < 4:
        raise ValueError(f"a polygon has {len(corners)} values; expected x and y of two corners or more")
    height, width = mask.shape
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
    changes = np.bincount((columns - first) * height + rows, minlength=(last - first + 1) * height + 1)
    # Only the parity counts, so uint8 may overflow.
    inside = (np.cumsum(changes[:-1], dtype=np.uint8) & 1).view(bool)
    mask[:, first : last + 1] |= inside.reshape(last - first + 1, height).T


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
        counts = decode_counts(counts)
    elif not isinstance(counts, list) or not all(isinstance(count, int) and count >= 0 for count in counts):
        raise ValueError("a run-length code is neither text nor a list of numbers")
    if sum(counts) != height * width or min(counts, default=0) < 0:
        raise ValueError(f"a run-length code covers {sum(counts)} pixels; expected {height * width}")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(width, height).T


def decode_counts(text: str) -> list[int]:
    """The run lengths in COCO's compressed text.

    Each character holds five bits, the lowest first; 32 says that more follow and 16 in the last one
    that the number is negative. From the fourth on, the number is the difference from the one two before.

    Raises:
        ValueError: A character is out of range, or the text ends within a number.
    """
    counts: list[int] = []
    number = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise ValueError(f"a run-length code holds the character {character!r}")
        number |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            number -= 1 << shift
        counts.append(number + counts[-2] if len(counts) > 2 else number)
        number = shift = 0
    if shift:
        raise ValueError("a run-length code ends within a number")
    return counts


def _trace(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points of the closed polygon on the fine grid: every step along the longer side of each edge.

    Args:
        x: int64 (N,) corners on the fine grid.
        y: Likewise.

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
