"""Prediction with sliding windows, several scales and flips, in bounded memory.

A `View` is one version of the image (at one scale, mirrored or not), predicted by windows. Only class ids are kept at
the size of the image: rows of views are read from top to bottom, windows are predicted when the first of their rows is
needed and dropped after the last one, and the logits kept in between are those of the head, at its output stride. So
memory is bounded by K x (two rows of windows at the output stride), plus bands of `BAND_VALUES` values, whatever the
height of the image.
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
from pixelwise.models.probabilities import Scores, probabilities
from pixelwise.prediction.engine.grid import Window, central_parts, windows_of
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.sizes import Size

BAND_VALUES = 1 << 22
"""Number of values in a band of rows: 16 MB per float32 temporary."""

Forward = Callable[[Sequence[np.ndarray]], Tensor]
"""Images uint8 (h, w, C) of equal size -> logits (B, K, ...) of the main head."""


class View:
    """One version of an image, predicted window by window from top to bottom.

    Args:
        forward: Forward pass of the network.
        image: Image uint8 (H, W, C), not mirrored.
        protocol: Protocol that defines the windows, their number per call, and their blending.
        align_corners: Convention for upsampling the network's logits, as in `torch.nn.functional.interpolate`.
        mirrored: Whether the network sees the image mirrored.
        keep: Whether to keep all windows, so that rows can be read more than once.
        multilabel: Whether probabilities are a sigmoid per class instead of a softmax over the classes.
        scores: Meaning of the network's outputs, `SegmentationModel.scores`.
    """

    def __init__(
        self,
        forward: Forward,
        image: np.ndarray,
        protocol: Protocol,
        *,
        align_corners: bool,
        mirrored: bool = False,
        keep: bool = False,
        multilabel: bool = False,
        scores: Scores = "logits",
    ) -> None:
        self.size: Size = (image.shape[0], image.shape[1])
        self._forward, self._image = forward, image
        self._align_corners, self._mirrored, self._keep = align_corners, mirrored, keep
        self._multilabel = multilabel
        self._scores: Scores = scores
        self._batch = protocol.window_batch
        self._blend = protocol.blend
        self._waiting = windows_of(
            self.size, protocol.window, protocol.window_stride, mirrored=mirrored, even=protocol.even_windows
        )
        self._parts = central_parts(self._waiting, self.size) if protocol.blend == "central" else {}
        self._known: list[Window] = []
        self._whole = len(self._waiting) == 1

    def rows(self, first: int, last: int, size: Size) -> Tensor:
        """Rows `first` to `last - 1` of the view resized to `size`; call it from top to bottom.

        Returns:
            Values float32 (K, last - first, W): probabilities if `are_probabilities`, else logits.
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
        """Probabilities of the network's outputs (K, ...)."""
        return probabilities(logits, self._scores, multilabel=self._multilabel)

    @property
    def are_probabilities(self) -> bool:
        """Whether `rows` returns probabilities, because several windows are blended as such."""
        return self._blend == "probabilities" and not self._whole

    def _blended(self, first: int, last: int) -> Tensor:
        """Rows of the view from all windows that contain them, joined as the protocol says: (K, last - first, W)."""
        return self._central(first, last) if self._blend == "central" else self._averaged(first, last)

    def _central(self, first: int, last: int) -> Tensor:
        """Rows of the view, each pixel from its most central window."""
        joined = torch.zeros(())
        for number, window in enumerate(self._windows(first, last)):
            top, bottom, left, right = self._parts[window.top, window.left]
            begin, end = max(first, top), min(last, bottom)
            if number == 0:
                joined = _logits(window).new_zeros(
                    len(_logits(window)), last - first, self.size[1], dtype=torch.float32
                )
            if begin < end:
                size = (window.height, window.width)
                values = self._rows_of(window, size, begin - window.top, end - window.top)
                columns = slice(left - window.left, right - window.left)
                joined[:, begin - first : end - first, left:right] = values[..., columns]
        return joined

    def _averaged(self, first: int, last: int) -> Tensor:
        """Unweighted average of the windows over rows of the view."""
        total, count = torch.zeros(()), torch.zeros(())
        for number, window in enumerate(self._windows(first, last)):
            begin, end = max(first, window.top), min(last, window.bottom)
            size = (window.height, window.width)
            values = self._rows_of(window, size, begin - window.top, end - window.top)
            if self._blend == "probabilities":
                values = self.probabilities(values)
            if number == 0:
                total = values.new_zeros(len(values), last - first, self.size[1])
                count = values.new_zeros(last - first, self.size[1])
            rows, columns = slice(begin - first, end - first), slice(window.left, window.left + window.width)
            total[:, rows, columns] += values
            count[rows, columns] += 1
        return total.div_(count)

    def _rows_of(self, window: Window, size: Size, first: int, last: int) -> Tensor:
        """Rows of a window resized to `size`, not mirrored."""
        logits = _logits(window)
        return interpolated_rows(logits, size, first, last, self._align_corners, mirrored=self._mirrored)

    def _windows(self, first: int, last: int) -> list[Window]:
        """The windows that contain one of these rows, predicted if they are not yet."""
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
        logits = self._forward([part[:, ::-1] for part in parts] if self._mirrored else parts)
        return [window._replace(logits=entry) for window, entry in zip(windows, logits, strict=True)]


class Cut(NamedTuple):
    """What is left of logits whose upper rows were dropped.

    Attributes:
        above: Number of dropped rows.
        height: Number of rows before.
    """

    above: int
    height: int


def interpolated_rows(
    logits: Tensor,
    size: Size,
    first: int,
    last: int,
    align_corners: bool,
    *,
    mirrored: bool = False,
    cut: Cut | None = None,
) -> Tensor:
    """Rows `first` to `last - 1` of the logits upsampled bilinearly to `size`, without computing the other rows.

    Args:
        logits: Logits (K, h, w) of any floating-point type.
        size: (height, width) of the upsampled logits.
        first: Index of the first row.
        last: Index of the row after the last one.
        align_corners: Convention of `torch.nn.functional.interpolate`.
        mirrored: Whether to flip the logits left to right.
        cut: Which of the upper rows `logits` lacks, if it does; they are not needed for these rows.

    Returns:
        Upsampled logits float32 (K, last - first, W).
    """
    above, h = cut or Cut(0, logits.shape[1])
    if h == size[0]:
        rows = _upright(logits[:, first - above : last - above], mirrored)
        return _widened(rows, size[1], align_corners)
    top, weight = source_cells(h, size[0], align_corners, torch.float32, logits.device)
    begin, end = int(top[first]), min(int(top[last - 1]) + 2, h)
    part = _upright(logits[:, begin - above : end - above], mirrored)
    upper = top[first:last] - begin
    lower = (upper + 1).clamp_(max=end - begin - 1)
    return _widened(torch.lerp(part[:, upper], part[:, lower], weight[first:last, None]), size[1], align_corners)


def _upright(rows: Tensor, mirrored: bool) -> Tensor:
    """The rows as float32 (K, R, w), not mirrored; only the needed rows are converted, never the whole."""
    return rows.float().flip(2) if mirrored else rows.float()


def bands(views: Sequence[View], size: Size, num_classes: int) -> Iterator[tuple[int, Tensor]]:
    """Yield the average of all views at `size`, in bands of rows from top to bottom.

    Args:
        views: Views of one image.
        size: (height, width) of the result.
        num_classes: Number of classes of the network.

    Yields:
        The first row of a band, and its values float32 (K, R, W): probabilities, but logits if a single view has
        logits.
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
    """Class ids at `size` from the average of the views, and on request their probabilities.

    Args:
        views: Views of one image.
        size: (height, width) of the result.
        num_classes: Number of classes of the network.
        confidence: Whether to return the largest probabilities too; for single-label networks only.
        multilabel: Whether to return every class with a probability above 0.5 instead of the most probable one.

    Returns:
        Class ids (H, W), uint8 or above 255 classes int64, or bit fields int32 (H, W); and the largest probabilities
        float32 (H, W), or None.
    """
    averaged = len(views) > 1 or views[0].are_probabilities
    small = torch.uint8 if num_classes <= 255 else torch.int64
    labels = sure = torch.empty(0)
    for first, values in bands(views, size, num_classes):
        if first == 0:
            # Written into one tensor: keeping a small tensor per band would fragment the memory freed by the bands.
            labels = values.new_empty(size, dtype=torch.int32 if multilabel else small)
            sure = values.new_empty(size if confidence else 0)
        rows = slice(first, first + values.shape[1])
        if multilabel:
            labels[rows] = bits_of(values > (0.5 if averaged else 0.0))
            continue
        labels[rows] = values.argmax(0)
        if confidence:
            sure[rows] = (values if averaged else views[0].probabilities(values)).amax(0)
    return labels, sure if confidence else None


def _probabilities(view: View, first: int, last: int, size: Size) -> Tensor:
    values = view.rows(first, last, size)
    return values if view.are_probabilities else view.probabilities(values)


def _widened(rows: Tensor, width: int, align_corners: bool) -> Tensor:
    """Values (K, R, w) upsampled to (K, R, width); the number of rows does not change."""
    if rows.shape[2] == width:
        return rows
    return F.interpolate(rows[None], (rows.shape[1], width), mode="bilinear", align_corners=align_corners)[0]


def _logits(window: Window) -> Tensor:
    if window.logits is None:
        raise AssertionError("windows are predicted before they are used")
    return window.logits
