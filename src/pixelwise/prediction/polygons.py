"""Outlines of the objects in a mask: polygons along the sides of pixels, which enclose exactly these pixels."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

_FEWEST = 3
"""Number of corners of a triangle."""


class Polygon(NamedTuple):
    """The outline of an object: pixels that are joined by their sides.

    Corners are (x, y) with x to the right and y down; the pixel in row r and column c is the square from (c, r) to
    (c + 1, r + 1). Rings are not closed: the first corner is not repeated at the end.

    Attributes:
        outline: Corners int32 (N, 2), clockwise as seen.
        holes: The rings around what is cut out, int32 (M, 2) each, counter-clockwise.
    """

    outline: np.ndarray
    holes: tuple[np.ndarray, ...] = ()

    @property
    def area(self) -> float:
        """Area in pixels, without the holes."""
        return (_doubled_area(self.outline) + sum(map(_doubled_area, self.holes))) / 2


def polygons_of(mask: np.ndarray, tolerance: float = 0.0) -> list[Polygon]:
    """The objects of a mask, the largest first.

    Args:
        mask: Mask (H, W); pixels other than 0 belong to an object.
        tolerance: Distance in pixels by which a simplified outline may differ from that of the pixels; with 0 the
            polygons enclose exactly the pixels.

    Raises:
        ValueError: `tolerance` is negative.
    """
    if tolerance < 0:
        raise ValueError(f"tolerance is {tolerance}; expected 0 or more pixels")
    inside = np.ascontiguousarray(mask != 0, np.uint8)
    count, components = cv2.connectedComponents(inside, connectivity=4)
    outer: dict[int, np.ndarray] = {}
    holes: dict[int, list[np.ndarray]] = {}
    for component, ring in _rings(components):
        if _doubled_area(ring) > 0:
            outer[component] = ring
        else:
            holes.setdefault(component, []).append(ring)
    found = [Polygon(outer[one], tuple(holes.get(one, ()))) for one in range(1, count)]
    found.sort(key=lambda polygon: -polygon.area)
    return [simplified(polygon, tolerance) for polygon in found] if tolerance else found


def _rings(components: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """The closed borders of components int32 (H, W), each with its component, which lies to the right of it.

    Where a component touches itself at a corner, the border turns left there, so that no ring meets itself.
    """
    component, x, y, way = _edges(components)
    width = components.shape[1] + 1
    place = (component.astype(np.int64) * (components.shape[0] + 1) + y) * width + x
    order = np.argsort(place, kind="stable")
    component, x, y, way, place = component[order], x[order], y[order], way[order], place[order]
    end = place + _DX[way] + _DY[way] * width
    following = np.searchsorted(place, end)
    # Two edges begin at a corner where a component touches itself.
    second = np.minimum(following + 1, len(place) - 1)
    following = np.where((place[second] == end) & (way[second] == (way + 3) % 4), second, following)
    turns = np.zeros(len(place), bool)
    turns[following] = way[following] != way
    links, done, rings = following.tolist(), np.zeros(len(place), bool), []
    for first in range(len(links)):
        if done[first]:
            continue
        ring, edge = [first], links[first]
        while edge != first:
            ring.append(edge)
            edge = links[edge]
        edges = np.array(ring)
        done[edges] = True
        corners = edges[turns[edges]]
        rings.append((int(component[first]), np.stack([x[corners], y[corners]], 1).astype(np.int32)))
    return rings


_DX, _DY = np.array([1, 0, -1, 0]), np.array([0, 1, 0, -1])
"""Steps of the ways 0 (right), 1 (down), 2 (left) and 3 (up)."""


def _edges(components: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The sides of pixels on borders: the component to the right of each, its beginning (x, y), and its way."""
    padded = np.pad(components, 1)
    above, below = padded[:-1, 1:-1], padded[1:, 1:-1]
    left, right = padded[1:-1, :-1], padded[1:-1, 1:]
    found = []
    for one, other, way, (dx, dy) in (
        (below, above, 0, (0, 0)),
        (left, right, 1, (0, 0)),
        (above, below, 2, (1, 0)),
        (right, left, 3, (0, 1)),
    ):
        rows, columns = np.nonzero((one != other) & (one != 0))
        found.append((one[rows, columns], columns + dx, rows + dy, np.full(len(rows), way)))
    component, x, y, ways = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return component, x, y, ways


def _doubled_area(ring: np.ndarray) -> int:
    """Twice the area within a ring; negative if it is counter-clockwise."""
    x, y = ring.astype(np.int64).T
    return int(x[:-1] @ y[1:] - x[1:] @ y[:-1] + x[-1] * y[0] - x[0] * y[-1])


def simplified(polygon: Polygon, tolerance: float) -> Polygon:
    """A polygon of fewer corners; rings that would vanish stay or, if they are holes, are left out.

    Args:
        polygon: Outline of the pixels.
        tolerance: Distance in pixels by which the result may differ from it, more than 0.
    """
    outline = _approximated(polygon.outline, tolerance)
    holes = (_approximated(hole, tolerance) for hole in polygon.holes)
    return Polygon(
        outline if len(outline) >= _FEWEST else polygon.outline, tuple(hole for hole in holes if len(hole) >= _FEWEST)
    )


def _approximated(ring: np.ndarray, tolerance: float) -> np.ndarray:
    return cv2.approxPolyDP(ring.reshape(-1, 1, 2), tolerance, closed=True).reshape(-1, 2)
