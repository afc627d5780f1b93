"""Values of an image from an exported network, row by row, whether it sees the image whole or through windows."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from pixelwise.prediction.engine.grid import Window, central_parts, windows_of
from pixelwise.prediction.light.probabilities import probabilities
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.interpolation import mixed, rows_of, source_cells, widened
from pixelwise.runtimes.plain import PlainArtefact


class Whole:
    """An image that the network saw at one look.

    Args:
        logits: (K, h, w), of the whole image with its padding.
        align_corners: Convention for resizing logits.
    """

    are_probabilities = False

    def __init__(self, logits: np.ndarray, align_corners: bool) -> None:
        self._logits, self._align_corners = logits, align_corners

    def rows(self, first: int, last: int, size: Size) -> np.ndarray:
        """Rows `first` to `last - 1` of the logits resized to `size`: float32 (K, last - first, W)."""
        return rows_of(self._logits, size, first, last, self._align_corners)


class _Known(NamedTuple):
    window: Window
    logits: np.ndarray


class Windows:
    """An image that the network sees through windows, which are predicted when the first of their rows is needed.

    What a protocol says of windows is described in `pixelwise.prediction.windows`, whose values these are.

    Args:
        model: The exported network.
        image: uint8 (H, W, C).
        protocol: Protocol that defines the windows, their number per call, and their blending.
    """

    def __init__(self, model: PlainArtefact, image: np.ndarray, protocol: Protocol) -> None:
        self._model, self._image = model, image
        self._size: Size = (image.shape[0], image.shape[1])
        # Class ids cannot be averaged.
        self._blend = protocol.blend if model.gives_scores else "central"
        self._batch = protocol.window_batch
        self._waiting = windows_of(self._size, protocol.window, protocol.window_stride, even=protocol.even_windows)
        self._parts = central_parts(self._waiting, self._size) if self._blend == "central" else {}
        self._known: list[_Known] = []
        self._single = len(self._waiting) == 1

    @property
    def are_probabilities(self) -> bool:
        """Whether `rows` returns probabilities, because several windows are blended as such."""
        return self._blend == "probabilities" and not self._single

    def rows(self, first: int, last: int, size: Size) -> np.ndarray:
        """Rows `first` to `last - 1` of the image resized to `size`; call it from top to bottom.

        Returns:
            float32 (K, last - first, W): probabilities if `are_probabilities`, else logits.
        """
        align = self._model.align_corners
        if self._single:
            (one,) = self._needed(0, self._size[0])
            return rows_of(one.logits, size, first, last, align)
        if size == self._size:
            return self._blended(first, last)
        upper, weight = source_cells(self._size[0], size[0], align)
        upper = upper[first:last]
        begin, end = int(upper[0]), min(int(upper[-1]) + 2, self._size[0])
        seen = self._blended(begin, end)
        upper = upper - begin
        lower = np.minimum(upper + 1, end - begin - 1)
        return widened(mixed(seen[:, upper], seen[:, lower], weight[first:last, None]), size[1], align)

    def _blended(self, first: int, last: int) -> np.ndarray:
        """Rows at the image's own size from all windows that contain them, joined as the protocol says."""
        shape = (self._model.num_classes, last - first, self._size[1])
        total, count = np.zeros(shape, np.float32), np.zeros(shape[1:], np.float32)
        for window, logits in self._needed(first, last):
            top, bottom, left, right = self._parts.get(
                (window.top, window.left), (window.top, window.bottom, window.left, window.left + window.width)
            )
            begin, end = max(first, top), min(last, bottom)
            if begin >= end:
                continue
            size = (window.height, window.width)
            values = rows_of(logits, size, begin - window.top, end - window.top, self._model.align_corners)
            if self._blend == "probabilities":
                values = probabilities(values, self._model.scores, multilabel=self._model.multilabel)
            rows, columns = slice(begin - first, end - first), slice(left, right)
            total[:, rows, columns] += values[..., left - window.left : right - window.left]
            count[rows, columns] += 1
        return total if self._parts else total / count

    def _needed(self, first: int, last: int) -> list[_Known]:
        """The windows that contain one of these rows, predicted if they are not yet."""
        self._known = [known for known in self._known if known.window.bottom > first]
        due = [window for window in self._waiting if window.top < last]
        self._waiting = self._waiting[len(due) :]
        for _, group in itertools.groupby(due, key=lambda window: (window.height, window.width)):
            while batch := list(itertools.islice(group, self._batch)):
                looks = [self._image[one.top : one.bottom, one.left : one.left + one.width] for one in batch]
                self._known += map(_Known, batch, self._model.head_logits(looks))
        return [known for known in self._known if known.window.top < last and known.window.bottom > first]
