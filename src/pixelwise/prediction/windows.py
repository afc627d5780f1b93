"""What a network says about an image that it does not see once and as a whole: windows, scales, mirrored.

A `View` is one version of the image (its scale, mirrored or not), seen through windows. Nothing of the
image's own size is kept except class ids: views are asked for rows from top to bottom, windows are predicted
when the first of their rows is needed and dropped after the last one, and the logits that are kept in between
are the head's own, at its stride. So the memory is bounded by K x (two rows of windows at the head's stride),
plus bands of `BAND_VALUES` values, whatever the height of the image.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.metrics.argmax import source_cells
from pixelwise.metrics.multilabel import bits_of
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.sizes import Size

BAND_VALUES = 1 << 22
"""Values of a band of rows: 16 MB per float32 temporary."""

Look = Callable[[Sequence[np.ndarray]], Tensor]
"""uint8 (h, w, C) images of equal size -> main logits (B, K, ...)."""


class Window(NamedTuple):
    """A rectangle of a view, and what the network says about it once it was asked.

    Attributes:
        top: First row.
        left: First column.
        height: Rows.
        width: Columns.
        logits: (K, h, w) covering the rectangle, mirrored where the network saw it mirrored.
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


class View:
    """One version of an image, predicted window by window from top to bottom.

    Args:
        look: Asks the network.
        image: uint8 (H, W, C), upright.
        protocol: Says which windows, how many per call, and how they are blended.
        align_corners: How the network's logits are enlarged.
        mirrored: Whether the network sees it mirrored.
        keep: Whether rows are asked for more than once, so that no window may be dropped.
        multilabel: Whether probabilities are the classes' own sigmoids instead of a softmax over them.
    """

    def __init__(
        self,
        look: Look,
        image: np.ndarray,
        protocol: Protocol,
        *,
        align_corners: bool,
        mirrored: bool = False,
        keep: bool = False,
        multilabel: bool = False,
    ) -> None:
        self.size: Size = (image.shape[0], image.shape[1])
        self._look, self._image = look, image
        self._align_corners, self._mirrored, self._keep = align_corners, mirrored, keep
        self._multilabel = multilabel
        self._batch = protocol.window_batch
        self._blends_logits = protocol.blend == "logits"
        self._waiting = windows_of(self.size, protocol.window, protocol.window_stride, mirrored=mirrored)
        self._known: list[Window] = []
        self._whole = len(self._waiting) == 1

    def rows(self, first: int, last: int, size: Size) -> Tensor:
        """Rows `first` to `last - 1` of the view resized to `size`: (K, last - first, W).

        Ask from top to bottom.

        Returns:
            float32 logits, or where windows are blended as probabilities and there are several, these.
        """
        if self._whole:
            (window,) = self._windows(0, self.size[0])
            return self._rows_of(window, size, first, last)
        if size == self.size:
            return self._blended(first, last)
        top, weight = source_cells(self.size[0], size[0], self._align_corners, torch.float32, torch.device("cpu"))
        begin, end = int(top[first]), min(int(top[last - 1]) + 2, self.size[0])
        seen = self._blended(begin, end)
        upper = (top[first:last] - begin).to(seen.device)
        lower = (upper + 1).clamp_(max=end - begin - 1)
        mixed = torch.lerp(seen[:, upper], seen[:, lower], weight[first:last, None].to(seen.device))
        return _widened(mixed, size[1], self._align_corners)

    def probabilities(self, logits: Tensor) -> Tensor:
        """What logits (K, ...) mean."""
        return logits.sigmoid() if self._multilabel else logits.softmax(0)

    @property
    def are_probabilities(self) -> bool:
        """Whether `rows` gives probabilities."""
        return not (self._whole or self._blends_logits)

    def _blended(self, first: int, last: int) -> Tensor:
        """Uniform average of all windows over rows of the view: (K, last - first, W)."""
        total, count = torch.zeros(()), torch.zeros(())
        for number, window in enumerate(self._windows(first, last)):
            begin, end = max(first, window.top), min(last, window.bottom)
            size = (window.height, window.width)
            values = self._rows_of(window, size, begin - window.top, end - window.top)
            if not self._blends_logits:
                values = self.probabilities(values)
            if number == 0:
                total = values.new_zeros(len(values), last - first, self.size[1])
                count = values.new_zeros(last - first, self.size[1])
            rows, columns = slice(begin - first, end - first), slice(window.left, window.left + window.width)
            total[:, rows, columns] += values
            count[rows, columns] += 1
        return total.div_(count)

    def _rows_of(self, window: Window, size: Size, first: int, last: int) -> Tensor:
        """Rows of a window resized to `size`, upright."""
        logits = _logits(window)
        return interpolated_rows(logits, size, first, last, self._align_corners, mirrored=self._mirrored)

    def _windows(self, first: int, last: int) -> list[Window]:
        """The windows that hold one of these rows; predicts those that are not known yet."""
        if not self._keep:
            self._known = [window for window in self._known if window.bottom > first]
        due = [window for window in self._waiting if window.top < last]
        self._waiting = self._waiting[len(due) :]
        for _, group in itertools.groupby(due, key=lambda window: (window.height, window.width)):
            while batch := list(itertools.islice(group, self._batch)):
                self._known += self._predict(batch)
        return [window for window in self._known if window.top < last and window.bottom > first]

    def _predict(self, windows: list[Window]) -> list[Window]:
        parts = [
            self._image[window.top : window.bottom, window.left : window.left + window.width] for window in windows
        ]
        logits = self._look([part[:, ::-1] for part in parts] if self._mirrored else parts)
        return [window._replace(logits=entry) for window, entry in zip(windows, logits, strict=True)]


def windows_of(size: Size, window: Size | None, stride: Size | None, *, mirrored: bool = False) -> list[Window]:
    """Windows that cover an image, from top to bottom.

    Args:
        size: (height, width) of the image.
        window: Their size, cut to the image's; None: one for the whole image.
        stride: Their distance; None: that of their size.
        mirrored: Whether they are laid out from the right, as they are on a mirrored image.
    """
    height, width = (min(pair) for pair in zip(size, window or size, strict=True))
    steps = stride or (height, width)
    lefts = window_starts(size[1], width, steps[1])
    if mirrored:
        lefts = [size[1] - width - left for left in lefts]
    return [Window(top, left, height, width) for top in window_starts(size[0], height, steps[0]) for left in lefts]


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin: every `stride`, the last one moved back to end with the image."""
    count = -(-(length - window) // stride) + 1
    return [min(index * stride, length - window) for index in range(count)]


def interpolated_rows(
    logits: Tensor, size: Size, first: int, last: int, align_corners: bool, *, mirrored: bool = False
) -> Tensor:
    """Rows `first` to `last - 1` of the logits, enlarged bilinearly to `size`, without the other rows.

    Args:
        logits: (K, h, w), any floating type.
        size: (H, W) of the whole.
        first: First row.
        last: The row after the last one.
        align_corners: As in `torch.nn.functional.interpolate`.
        mirrored: Whether the logits are to be turned over, left to right.

    Returns:
        (K, last - first, W) float32.
    """
    h = logits.shape[1]
    if h == size[0]:
        rows = _upright(logits[:, first:last], mirrored)
        return _widened(rows, size[1], align_corners)
    top, weight = source_cells(h, size[0], align_corners, torch.float32, logits.device)
    begin, end = int(top[first]), min(int(top[last - 1]) + 2, h)
    part = _upright(logits[:, begin:end], mirrored)
    upper = top[first:last] - begin
    lower = (upper + 1).clamp_(max=end - begin - 1)
    return _widened(torch.lerp(part[:, upper], part[:, lower], weight[first:last, None]), size[1], align_corners)


def _upright(rows: Tensor, mirrored: bool) -> Tensor:
    """(K, R, w) float32. Only rows that are needed are converted and turned: nothing of the whole is built."""
    return rows.float().flip(2) if mirrored else rows.float()


def bands(views: Sequence[View], size: Size, num_classes: int) -> Iterator[tuple[int, Tensor]]:
    """The average of all views at `size`, band by band from top to bottom.

    Args:
        views: Of one image.
        size: (H, W).
        num_classes: K.

    Yields:
        The first row and (K, R, W) float32: probabilities; logits where there is one view that gives them.
    """
    height = max(1, BAND_VALUES // (num_classes * size[1]))
    for first in range(0, size[0], height):
        last = min(first + height, size[0])
        if len(views) == 1:
            yield first, views[0].rows(first, last, size)
            continue
        total = _probabilities(views[0], first, last, size)
        for view in views[1:]:
            total += _probabilities(view, first, last, size)
        yield first, total / len(views)


def best_classes(
    views: Sequence[View], size: Size, num_classes: int, *, confidence: bool = False, multilabel: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Class ids at `size`, and how sure the average of the views is of them.

    Args:
        views: Of one image.
        size: (H, W).
        num_classes: K.
        confidence: Whether the largest probabilities are wanted; single-label networks only.
        multilabel: Whether every class with a probability above 0.5 is wanted instead.

    Returns:
        (H, W) uint8, or int64 above 255 classes, or int32 bit fields; and (H, W) float32 or None.
    """
    probabilities = len(views) > 1 or views[0].are_probabilities
    small = torch.uint8 if num_classes <= 255 else torch.int64
    labels = sure = torch.empty(0)
    for first, values in bands(views, size, num_classes):
        if first == 0:
            # Written into one piece: a small tensor kept per band would leave holes where the bands' own were.
            labels = values.new_empty(size, dtype=torch.int32 if multilabel else small)
            sure = values.new_empty(size if confidence else 0)
        rows = slice(first, first + values.shape[1])
        if multilabel:
            labels[rows] = bits_of(values > (0.5 if probabilities else 0.0))
            continue
        labels[rows] = values.argmax(0)
        if confidence:
            sure[rows] = (values if probabilities else values.softmax(0)).amax(0)
    return labels, sure if confidence else None


def _probabilities(view: View, first: int, last: int, size: Size) -> Tensor:
    values = view.rows(first, last, size)
    return values if view.are_probabilities else view.probabilities(values)


def _widened(rows: Tensor, width: int, align_corners: bool) -> Tensor:
    """(K, R, w) enlarged to (K, R, width); the rows stay as they are."""
    if rows.shape[2] == width:
        return rows
    return F.interpolate(rows[None], (rows.shape[1], width), mode="bilinear", align_corners=align_corners)[0]


def _logits(window: Window) -> Tensor:
    if window.logits is None:
        raise AssertionError("windows are predicted before they are used")
    return window.logits
