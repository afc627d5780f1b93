"""Outlines of the objects in labels that come from top to bottom; only objects that may go on are kept.

The borders of objects are followed from corner to corner. Along a line of the grid, borders begin and end in turns, so
that sorted corners are joined pair by pair: those of a row at once, those of a column as soon as the lower one is
seen. An object that does not reach the last row is complete: its corners are put in order and forgotten.

The polygons are those of `pixelwise.prediction.polygons`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np

from pixelwise.prediction.polygons import Polygon

NOTHING = -1
"""Label of pixels that belong to no object."""
_BAND_PIXELS = 1 << 21
"""Number of pixels that are looked at together."""
_CORNER = np.dtype(
    [("number", np.int64), ("following", np.int64), ("x", np.int32), ("y", np.int32), ("label", np.int32)]
)
"""A corner of a border, and the number of the one that follows it. With x = -1, a link that was found later."""


class _Kind(NamedTuple):
    """A kind of corner: which of the four pixels around a point of the grid make it, and where its borders go.

    Pixels are numbered 0 to 3: upper left, upper right, lower left, lower right.

    Attributes:
        own: A pixel of the object.
        alike: Pixels of the same label.
        others: Pixels of other labels.
        right: Whether the horizontal border lies to the right of the point.
        below: Whether the object lies below that border.
        down: Whether the vertical border lies below the point.
        beside: Whether the object lies to the right of that border.
    """

    own: int
    alike: tuple[int, ...]
    others: tuple[int, ...]
    right: bool
    below: bool
    down: bool
    beside: bool


_KINDS = (
    _Kind(0, (), (1, 2), right=False, below=False, down=False, beside=False),
    _Kind(1, (), (0, 3), right=True, below=False, down=False, beside=True),
    _Kind(2, (), (0, 3), right=False, below=True, down=True, beside=False),
    _Kind(3, (), (1, 2), right=True, below=True, down=True, beside=True),
    _Kind(0, (1, 2), (3,), right=True, below=False, down=True, beside=False),
    _Kind(0, (1, 3), (2,), right=False, below=False, down=True, beside=True),
    _Kind(0, (2, 3), (1,), right=True, below=True, down=False, beside=False),
    _Kind(1, (2, 3), (0,), right=False, below=True, down=False, beside=True),
)


class _Found(NamedTuple):
    """The corners of a band, (N,) each: what is kept of them, their objects, and as in `_Kind`."""

    corners: np.ndarray
    objects: np.ndarray
    right: np.ndarray
    below: np.ndarray
    down: np.ndarray
    beside: np.ndarray


class Outlines:
    """The objects of labels that come from top to bottom.

    Args:
        width: Number of columns.
    """

    def __init__(self, width: int) -> None:
        self._row = np.full((1, width), NOTHING, np.int32)
        self._top = self._corners = 0
        # Of each pixel of the last row, the number of its object; and what is kept of each of these objects.
        self._objects = np.zeros(width, np.int64)
        self._open: list[list[np.ndarray]] = []
        # Per side of a column's line, the number of the corner whose border goes on below the last row.
        self._hanging = np.full(2 * (width + 1), -1, np.int64)

    def add(self, labels: np.ndarray) -> Iterator[tuple[int, Polygon]]:
        """Add the next rows; yields the label and the polygon of each object that they complete.

        Args:
            labels: Integers (R, W), `NOTHING` where there is no object.
        """
        rows = max(1, _BAND_PIXELS // max(1, labels.shape[1]))
        for first in range(0, len(labels), rows):
            yield from self._band(labels[first : first + rows].astype(np.int32))

    def finish(self) -> Iterator[tuple[int, Polygon]]:
        """The objects that reach the last row."""
        yield from self._band(np.full((1, len(self._objects)), NOTHING, np.int32))

    def _band(self, labels: np.ndarray) -> Iterator[tuple[int, Polygon]]:
        values = np.pad(np.concatenate([self._row, labels]), ((0, 0), (1, 1)), constant_values=NOTHING)
        components, count = _components(values)
        found = self._linked(_corners(values, components, self._top, self._corners))
        roots = self._joined(components[0, 1:-1], count)
        last = np.where(values[-1, 1:-1] == NOTHING, -1, roots[components[-1, 1:-1]])
        going_on = np.unique(last[last >= 0])
        complete = self._divide(found, roots, count, going_on)
        del found, values, components
        # From here on, everything refers to the new last row.
        self._objects = np.searchsorted(going_on, last)
        self._row = labels[-1:]
        self._top += len(labels)
        yield from _polygons(complete)

    def _joined(self, first_row: np.ndarray, count: int) -> np.ndarray:
        """Number of the object to which each component and, after these, each open object belongs.

        Args:
            first_row: Components of the row that the last band ended with.
            count: Number of components.
        """
        inside = self._row[0] != NOTHING
        pairs = np.unique(np.stack([first_row[inside], count + self._objects[inside]], axis=1), axis=0)
        parents = {one: one for one in pairs.ravel().tolist()}

        def root(one: int) -> int:
            while parents[one] != one:
                parents[one] = one = parents[parents[one]]
            return one

        for one, other in pairs.tolist():
            parents[root(one)] = root(other)
        found = np.arange(count + len(self._open))
        for one in parents:
            found[one] = root(one)
        return found

    def _linked(self, found: _Found) -> _Found:
        """The corners of a band with those that follow them; links of earlier corners are appended."""
        corners, column = found.corners, found.beside * (len(self._objects) + 1) + found.corners["x"]
        number, following = corners["number"], corners["following"]
        order = np.lexsort([found.right, corners["x"], corners["y"], found.below])
        left, right = order[::2], order[1::2]
        # Objects lie to the right of the way along their borders.
        start, end = np.where(found.below[left], left, right), np.where(found.below[left], right, left)
        following[start] = number[end]
        order = np.lexsort([found.down, corners["y"], column])
        columns = column[order]
        is_first, is_last = np.ones(len(order), bool), np.ones(len(order), bool)
        is_first[1:] = is_last[:-1] = columns[1:] != columns[:-1]
        lower = np.flatnonzero(~found.down[order])
        within = lower[~is_first[lower]]
        top, bottom = order[within - 1], order[within]
        start, end = np.where(found.beside[top], bottom, top), np.where(found.beside[top], top, bottom)
        following[start] = number[end]
        bottom = order[lower[is_first[lower]]]
        above = self._hanging[column[bottom]]
        upwards = found.beside[bottom]
        following[bottom[upwards]] = above[upwards]
        later = np.zeros(int((~upwards).sum()), _CORNER)
        later["number"], later["following"], later["x"] = above[~upwards], number[bottom[~upwards]], -1
        ends = order[is_last]
        self._hanging[column[ends]] = np.where(found.down[ends], number[ends], -1)
        self._corners += len(corners)
        objects = np.concatenate([found.objects, found.objects[bottom[~upwards]]])
        return found._replace(corners=np.concatenate([corners, later]), objects=objects)

    def _divide(self, found: _Found, roots: np.ndarray, count: int, going_on: np.ndarray) -> list[np.ndarray]:
        """Keep the corners of objects that go on; returns those of complete objects, and the object of each."""
        kept: dict[int, list[np.ndarray]] = {one: [] for one in going_on.tolist()}
        complete: list[np.ndarray] = []
        owners: list[np.ndarray] = []
        for chunks, root in zip(self._open, roots[count:].tolist(), strict=True):
            if root in kept:
                kept[root] = kept[root] + chunks if kept[root] else chunks
            else:
                complete += chunks
                owners += [np.full(len(chunk), root) for chunk in chunks]
        objects = roots[found.objects]
        order = np.argsort(objects, kind="stable")
        objects, corners = objects[order], found.corners[order]
        stays = np.isin(objects, going_on)
        complete.append(corners[~stays])
        owners.append(objects[~stays])
        objects, corners = objects[stays], corners[stays]
        begins = np.flatnonzero(np.diff(objects, prepend=-1))
        for owner, part in zip(objects[begins].tolist(), np.split(corners, begins[1:]), strict=False):
            # Copied, since a view would keep the whole band.
            kept[owner].append(part.copy())
        self._open = list(kept.values())
        return [np.concatenate(complete), np.concatenate(owners)]


class Drawing:
    """Hands on the objects of a prediction whose rows come from top to bottom.

    Args:
        width: Number of columns.
        classes: Number of classes.
        several: Whether rows hold bit fields of classes instead of class ids.
        take: Receives class id and polygon of each object, as soon as it is complete.
    """

    def __init__(self, width: int, classes: int, take: Callable[[int, Polygon], None], *, several: bool) -> None:
        self._classes, self._several, self._take = classes, several, take
        self._outlines = [Outlines(width) for _ in range(classes if several else 1)]

    def add(self, labels: np.ndarray) -> None:
        """Add the next rows: class ids (R, W), others of which are ignored; or bit fields (R, W)."""
        labels = labels.astype(np.int32)
        for class_id, outlines in enumerate(self._outlines):
            inside = (labels >> class_id & 1) != 0 if self._several else labels < self._classes
            values = np.where(inside, class_id if self._several else labels, NOTHING)
            for label, polygon in outlines.add(values):
                self._take(label, polygon)

    def finish(self) -> None:
        """Hand on the objects that reach the last row."""
        for outlines in self._outlines:
            for label, polygon in outlines.finish():
                self._take(label, polygon)


def outlines_of(bands: Iterable[np.ndarray], width: int) -> Iterator[tuple[int, Polygon]]:
    """Label and polygon of every object in bands of labels (R, W), as they are completed."""
    outlines = Outlines(width)
    for band in bands:
        yield from outlines.add(band)
    yield from outlines.finish()


def _components(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Pixels of one label that are joined by their sides: their numbers int32 (H, W), and how many there are.

    Pixels that belong to no object have any number.
    """
    # Pixels stand at even places, and between two of them is a bridge if they are alike.
    rows, columns = values.shape
    grid = np.zeros((2 * rows - 1, 2 * columns - 1), np.uint8)
    grid[::2, ::2] = values != NOTHING
    grid[1::2, ::2] = (values[1:] == values[:-1]) & (values[1:] != NOTHING)
    grid[::2, 1::2] = (values[:, 1:] == values[:, :-1]) & (values[:, 1:] != NOTHING)
    count, components = cv2.connectedComponents(grid, connectivity=4)
    return components[::2, ::2], count


def _corners(values: np.ndarray, components: np.ndarray, top: int, first: int) -> _Found:
    """The corners between rows (R + 1, W + 2) of labels.

    Args:
        values: Labels, with a column of `NOTHING` on either side.
        components: Components of their pixels.
        top: Index of the second of these rows.
        first: Number of the first corner.
    """
    quarters = (values[:-1, :-1], values[:-1, 1:], values[1:, :-1], values[1:, 1:])
    upper_left, upper_right, lower_left, lower_right = quarters
    rows, columns = np.nonzero(
        ((upper_left != lower_left) | (upper_right != lower_right))
        & ((upper_left != upper_right) | (lower_left != lower_right))
    )
    around = [quarter[rows, columns] for quarter in quarters]
    parts: list[tuple[np.ndarray, ...]] = []
    for kind in _KINDS:
        label = around[kind.own]
        fits = label != NOTHING
        for one in kind.alike:
            fits &= around[one] == label
        for one in kind.others:
            fits &= around[one] != label
        y, x = rows[fits], columns[fits]
        flags = (np.full(len(y), flag) for flag in (kind.right, kind.below, kind.down, kind.beside))
        parts.append((y + top, x, label[fits], components[y + kind.own // 2, x + kind.own % 2], *flags))
    y, x, label, objects, right, below, down, beside = (np.concatenate(part) for part in zip(*parts, strict=True))
    corners = np.zeros(len(y), _CORNER)
    corners["number"] = np.arange(first, first + len(y))
    corners["following"] = -1
    corners["x"], corners["y"], corners["label"] = x, y, label
    return _Found(corners, objects, right, below, down, beside)


def _polygons(complete: list[np.ndarray]) -> Iterator[tuple[int, Polygon]]:
    """Label and polygon of each object, from all of its corners.

    Args:
        complete: The corners and the object of each, which are taken from the list: there may be very many of them.
    """
    owners, corners = complete.pop(), complete.pop()
    is_link = corners["x"] < 0
    links = corners[is_link]
    corners, owners = corners[~is_link], owners[~is_link]
    order = np.lexsort([corners["x"], corners["y"], owners])
    corners, owners = corners[order], owners[order]
    by_number = np.argsort(corners["number"])
    numbers = corners["number"][by_number]
    corners["following"][by_number[np.searchsorted(numbers, links["number"])]] = links["following"]
    following = by_number[np.searchsorted(numbers, corners["following"])]
    x, y, labels = (np.ascontiguousarray(corners[name]) for name in ("x", "y", "label"))
    del corners, order, by_number, numbers, is_link
    # Where an object touches itself at a corner, its border turns left there, so that no ring meets itself.
    twice = np.flatnonzero((x[1:] == x[:-1]) & (y[1:] == y[:-1]) & (owners[1:] == owners[:-1]))
    following[twice], following[twice + 1] = following[twice + 1], following[twice]
    points = np.stack([x, y], axis=1)
    rings: list[np.ndarray] = []
    owner = None
    label = NOTHING
    for first, ring in _rings(following):
        if owner is not None and owners[first] != owner:
            yield label, Polygon(rings[0], tuple(rings[1:]))
            rings = []
        owner, label = owners[first], int(labels[first])
        rings.append(points[ring])
    if rings:
        yield label, Polygon(rings[0], tuple(rings[1:]))


def _rings(following: np.ndarray) -> Iterator[tuple[int, array[int]]]:
    """The first place of each cycle, ascending, and its places in their order."""
    # Not lists: the corners of an object across the whole image would take five times the memory.
    links = following.data
    done = bytearray(len(links))
    for first in range(len(links)):
        if done[first]:
            continue
        ring, one = array("q", [first]), links[first]
        while one != first:
            ring.append(one)
            done[one] = 1
            one = links[one]
        yield first, ring
