"""Where the windows lie through which a network looks at an image; never imports torch at its top."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pixelwise.recipes.sizes import Size

if TYPE_CHECKING:
    from torch import Tensor


class Window(NamedTuple):
    """A rectangle of a view, and its logits once it was predicted.

    Attributes:
        top: Index of the first row.
        left: Index of the first column.
        height: Number of rows.
        width: Number of columns.
        logits: Logits (K, h, w) of the rectangle, mirrored if the view is; None before the prediction.
    """

    top: int
    left: int
    height: int
    width: int
    logits: Tensor | None = None

    @property
    def bottom(self) -> int:
        """The row after the last one."""
        return self.top + self.height


def windows_of(
    size: Size, window: Size | None, stride: Size | None, *, mirrored: bool = False, even: bool = False
) -> list[Window]:
    """Windows that cover an image, from top to bottom.

    Args:
        size: (height, width) of the image.
        window: (height, width) of the windows, clipped to that of the image; None for one window over the whole image.
        stride: (vertical, horizontal) distance between windows; None for their size.
        mirrored: Whether to lay the windows out from the right, as for a mirrored image.
        even: Whether their distances are equal, and at most `stride`.
    """
    height, width = (min(pair) for pair in zip(size, window or size, strict=True))
    steps = stride or (height, width)
    lefts = window_starts(size[1], width, steps[1], even=even)
    if mirrored:
        lefts = [size[1] - width - left for left in lefts]
    tops = window_starts(size[0], height, steps[0], even=even)
    return [Window(top, left, height, width) for top in tops for left in lefts]


def window_starts(length: int, window: int, stride: int, *, even: bool = False) -> list[int]:
    """Start positions of the windows: one every `stride`, the last one moved back to end with the image.

    With `even` there are as many at equal distances, rounded down to whole pixels.
    """
    count = -(-(length - window) // stride) + 1
    if even:
        return [index * (length - window) // max(1, count - 1) for index in range(count)]
    return [min(index * stride, length - window) for index in range(count)]


def central_parts(windows: Sequence[Window], size: Size) -> dict[tuple[int, int], tuple[int, int, int, int]]:
    """The part of an image for which each window is the most central one: the one whose centre is nearest.

    Of windows that are equally near, the upper and left one is taken, so the parts cover every pixel exactly once.

    Args:
        windows: Windows of equal size on a grid, as `windows_of` lays them out.
        size: (height, width) of the image.

    Returns:
        (top, left) of each window -> (top, bottom, left, right) of its part, bottom and right exclusive.
    """
    rows = _central_ranges(sorted({window.top for window in windows}), windows[0].height, size[0])
    columns = _central_ranges(sorted({window.left for window in windows}), windows[0].width, size[1])
    return {(window.top, window.left): (*rows[window.top], *columns[window.left]) for window in windows}


def _central_ranges(starts: Sequence[int], length: int, total: int) -> dict[int, tuple[int, int]]:
    # Position p is nearer to the centre of the first of two windows, or as near, if 2 p <= a + b + length - 1.
    ends = [*((a + b + length - 1) // 2 + 1 for a, b in itertools.pairwise(starts)), total]
    return dict(zip(starts, itertools.pairwise([0, *ends]), strict=True))
