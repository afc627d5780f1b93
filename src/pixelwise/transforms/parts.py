"""Images and labels of which only a part is in memory, cropped as if all of it were."""

from __future__ import annotations

import mmap
from typing import NamedTuple, Protocol

import numpy as np

from pixelwise.recipes.sizes import Size

ADDRESSED_BYTES = 1 << 31
"""Number of bytes of an array within which OpenCV finds every pixel."""


class Window(NamedTuple):
    """A rectangle of an image: rows `top` to `bottom` - 1, columns `left` to `right` - 1."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return (self.bottom - self.top) * (self.right - self.left)


class Part(NamedTuple):
    """A rectangle of an image or of labels, with its place.

    Attributes:
        values: (h, w, C) or (h, w).
        top: First row of the rectangle.
        left: First column of the rectangle.
        size: (height, width) of the whole.
    """

    values: np.ndarray
    top: int
    left: int
    size: Size

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the whole."""
        return (*self.size, *self.values.shape[2:])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.values.ndim

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        return self.values.dtype

    def cut(self, start: Size, stop: Size) -> np.ndarray:
        """Rows and columns `start` to `stop` of the whole, which lie within the rectangle."""
        if start[0] >= stop[0] or start[1] >= stop[1]:  # a view beside the whole
            return self.values[:0, :0]
        rows, columns = slice(start[0] - self.top, stop[0] - self.top), slice(start[1] - self.left, stop[1] - self.left)
        if min(rows.start, columns.start) < 0 or rows.stop > len(self.values) or columns.stop > self.values.shape[1]:
            raise AssertionError(f"rows and columns {start} to {stop} are not in the part that was read")
        return self.values[rows, columns]

    def planes(self) -> list[Part]:
        """One part for each channel."""
        return [self._replace(values=np.ascontiguousarray(plane)) for plane in np.moveaxis(self.values, 2, 0)]

    def spread(self) -> np.ndarray | None:
        """An array of the whole's size that holds the rectangle at its place; None if it would be too large.

        The rest is 0 and takes no memory, because the system provides memory when it is written to or read.
        """
        number = self.size[0] * self.size[1] * int(np.prod(self.values.shape[2:], dtype=np.int64))
        if number * self.dtype.itemsize >= ADDRESSED_BYTES:
            return None
        # Not np.empty: the C library may reuse memory that already has pages (see `machine.memory.keep_freed_memory`).
        whole = np.frombuffer(mmap.mmap(-1, number * self.dtype.itemsize), self.dtype).reshape(self.shape)
        height, width = self.values.shape[:2]
        whole[self.top : self.top + height, self.left : self.left + width] = self.values
        return whole


class Parts(Protocol):
    """An image uint8 (H, W, C), or its labels (H, W), of which parts are read when they are needed."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the whole."""
        ...

    def part(self, window: Window) -> Part:
        """A rectangle that lies within the image."""
        ...


class LabelParts(Parts, Protocol):
    """Labels (H, W) of which parts are read, and pixels found by their class.

    They are class ids uint8, or for multi-label data bit fields int32, in which a pixel may count for several classes.
    """

    def counts(self) -> np.ndarray:
        """Number of pixels by class id, int64 (256,); 255 is ignored."""
        ...

    def pixel(self, class_id: int, number: int) -> tuple[int, int]:
        """Row and column of a pixel of a class, counted row by row from 0 on."""
        ...
