"""Curves of any length in a bounded number of points, as their values arrive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from pixelwise.reports.live.curves import rounded

Point = tuple[float | None, ...]


class Curve(NamedTuple):
    """A curve as it is shown.

    Attributes:
        size: Number of consecutive values that each point stands for; the last point may stand for fewer.
        whole: Number of points that stand for `size` values and will not change unless `size` does.
        points: The points, each a value per column; None where there is none.
    """

    size: int
    whole: int
    points: tuple[Point, ...]


class Means:
    """A curve whose points are means of groups of consecutive values, all of the same size, a power of two.

    The same values give the same curve, in however many parts they arrive. Values that are not finite are left out of
    the means. When there are more than `most` groups, neighbours are merged, so that each addition takes constant time
    on average.

    Args:
        columns: Number of values of each point.
        most: Largest number of groups, even.
    """

    def __init__(self, columns: int, most: int) -> None:
        self._columns, self._most = columns, most
        self._size = 1
        self._filled = 0  # values in the last group
        self._groups: list[list[float]] = []  # the sum of each column, then the number of its finite values

    def add(self, values: Sequence[float]) -> None:
        """Add one value per column."""
        if not self._groups or self._filled == self._size:
            if len(self._groups) == self._most:
                self._merge()
            self._groups.append([0.0] * (2 * self._columns))
            self._filled = 0
        group = self._groups[-1]
        for column, value in enumerate(values):
            if math.isfinite(value):
                group[column] += value
                group[column + self._columns] += 1
        self._filled += 1

    def curve(self) -> Curve:
        """The curve of all values so far, with five significant digits."""
        columns = self._columns
        points = tuple(
            tuple(
                rounded(group[column] / group[column + columns]) if group[column + columns] else None
                for column in range(columns)
            )
            for group in self._groups
        )
        return Curve(self._size, len(points) - (self._filled < self._size and bool(points)), points)

    def _merge(self) -> None:
        pairs = zip(self._groups[::2], self._groups[1::2], strict=True)
        self._groups = [[one + other for one, other in zip(*pair, strict=True)] for pair in pairs]
        self._size *= 2


class Picks:
    """A curve of every `size`-th point and the last one, for values whose mean would say something else.

    Args:
        most: Largest number of points, even.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 1
        self._added = 0
        self._kept: list[Point] = []
        self._last: Point | None = None

    def add(self, point: Point) -> None:
        """Add a point."""
        self._last = point
        if self._added % self._size == 0:
            if len(self._kept) == self._most:
                self._kept = self._kept[::2]
                self._size *= 2
            self._kept.append(point)  # `most` is even, so its place is a multiple of the new size, too
        self._added += 1

    def curve(self) -> Curve:
        """The curve of all points so far."""
        points = tuple(self._kept)
        if self._last is not None and (self._added - 1) % self._size:
            return Curve(self._size, len(points), (*points, self._last))
        return Curve(self._size, len(points), points)
