"""The canvas: an image and its labels, drawn together through one camera.

World coordinates are metres: x to the right of the camera, y up from the ground, z ahead. Every
labelled primitive paints the same pixels in both arrays, so labels are exact by construction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from pixelwise.recipes.class_sets.tables import CAMVID

RGB = tuple[float, float, float]
Point = tuple[float, float]
Points = np.ndarray | Sequence[Sequence[float]] | Sequence[Sequence[Sequence[float]]]

_FRACTION_BITS = 4
NEAREST = 1.2
"""Nothing closer to the camera is drawn, in metres."""

_NAMES = (*CAMVID.names, "void")
LABEL = {name: label for label, name in enumerate(_NAMES)}
"""Raw id of each class in the masks; `void` is 11, as in CamVid."""


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """Colour `a` with a share of colour `b` mixed in."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


def scale(color: RGB, factor: float) -> RGB:
    """The colour, lightened or darkened by `factor`."""
    return (color[0] * factor, color[1] * factor, color[2] * factor)


def jitter(rng: np.random.Generator, color: RGB, spread: float, *, tint: float = 40) -> RGB:
    """A random colour near `color`.

    Args:
        rng: Random generator to draw from.
        color: Colour to start from.
        spread: Largest relative change of brightness.
        tint: Every channel also changes by up to `spread * tint` grey levels.
    """
    # One call instead of four: a scene needs thousands of colours.
    light, red, green, blue = (2 * rng.random(4) - 1).tolist()
    factor, shift = 1 + spread * light, spread * tint
    return (color[0] * factor + shift * red, color[1] * factor + shift * green, color[2] * factor + shift * blue)


class Camera(NamedTuple):
    """A camera, and the bend of the street ahead of it.

    Attributes:
        horizon: Row of the horizon.
        center: Column of the vanishing point.
        focal: Focal length in pixels.
        eye: Height of the camera above the ground in metres.
        bend: Sideways shift of the street in metres per squared metre of distance.
    """

    horizon: float
    center: float
    focal: float
    eye: float
    bend: float = 0.0


class Canvas:
    """An image, its labels, and the camera through which both are drawn.

    Args:
        size: (height, width) of the arrays.
        camera: Camera through which everything is drawn.
        haze: Colour that distant things fade to.
        visibility: Distance in metres at which a colour is about two thirds haze.

    Attributes:
        image: uint8 (H, W, 3) RGB.
        labels: uint8 (H, W) raw ids 0..11.
    """

    def __init__(self, size: tuple[int, int], camera: Camera, *, haze: RGB, visibility: float) -> None:
        self.image = np.zeros((*size, 3), np.uint8)
        self.labels = np.full(size, LABEL["void"], np.uint8)
        self.horizon, self.center, self.focal, self.eye, self.bend = camera
        self.haze = haze
        self.visibility = visibility

    def project(self, points: Points) -> np.ndarray:
        """World points (..., 3) -> pixel positions (..., 2) as (column, row)."""
        points = np.asarray(points, np.float64)
        z = np.maximum(points[..., 2], NEAREST)
        result = np.empty((*points.shape[:-1], 2))
        result[..., 0] = self.center + self.focal * (points[..., 0] / z + self.bend * z)
        result[..., 1] = self.horizon + self.focal * (self.eye - points[..., 1]) / z
        return result

    def point(self, x: float, y: float, z: float) -> Point:
        """One world point -> (column, row)."""
        z = max(z, NEAREST)
        return self.center + self.focal * (x / z + self.bend * z), self.horizon + self.focal * (self.eye - y) / z

    def is_visible(self, x: float, z: float, reach: float) -> bool:
        """Whether something at (x, z) that extends `reach` metres to each side is within the image."""
        column, margin = self.point(x, 0, z)[0], self.pixels(reach, z)
        return -margin < column < self.labels.shape[1] + margin

    def pixels(self, metres: float, z: float) -> float:
        """Number of pixels that a length in metres covers at distance `z`."""
        return self.focal * metres / max(z, NEAREST)

    def faded(self, color: RGB, z: float) -> RGB:
        """`color` as seen through the haze from distance `z`."""
        return mix(color, self.haze, 1 - math.exp(-max(z, 0) / self.visibility))

    def polygon(self, points: Points, color: RGB, label: int | None = None) -> None:
        """Fill a polygon given in pixels, (N, 2); without a label, the existing labels stay."""
        fixed = _fixed(points)
        cv2.fillPoly(self.image, [fixed], _color(color), cv2.LINE_8, _FRACTION_BITS)
        if label is not None:
            cv2.fillPoly(self.labels, [fixed], label, cv2.LINE_8, _FRACTION_BITS)

    def details(self, polygons: Points, color: RGB) -> None:
        """Fill non-overlapping polygons of one colour given in pixels, (P, N, 2), in the image only."""
        cv2.fillPoly(self.image, list(_fixed(polygons)), _color(color), cv2.LINE_8, _FRACTION_BITS)

    def face(self, points: Sequence[tuple[float, float, float]], color: RGB, label: int | None = None) -> None:
        """Fill a polygon given in world coordinates; it fades with the distance of its first point."""
        self.polygon([self.point(*corner) for corner in points], self.faded(color, points[0][2]), label)

    def line(self, points: Points, width: float, color: RGB, label: int | None = None) -> None:
        """Draw a polyline given in pixels, (N, 2), at least one pixel wide."""
        thickness = max(1, round(width))
        fixed = _fixed(points)
        cv2.polylines(self.image, [fixed], False, _color(color), thickness, cv2.LINE_8, _FRACTION_BITS)
        if label is not None:
            cv2.polylines(self.labels, [fixed], False, label, thickness, cv2.LINE_8, _FRACTION_BITS)

    def ellipse(
        self, center: Point, axes: tuple[float, float], color: RGB, label: int | None = None, angle: float = 0
    ) -> None:
        """Fill an ellipse given in pixels: centre (column, row) and half axes (horizontal, vertical)."""
        at = (int(center[0] * 2**_FRACTION_BITS), int(center[1] * 2**_FRACTION_BITS))
        radii = (max(int(axes[0] * 2**_FRACTION_BITS), 8), max(int(axes[1] * 2**_FRACTION_BITS), 8))
        style = (-1, cv2.LINE_8, _FRACTION_BITS)
        cv2.ellipse(self.image, at, radii, angle, 0, 360, _color(color), *style)
        if label is not None:
            cv2.ellipse(self.labels, at, radii, angle, 0, 360, label, *style)


def _fixed(points: Points) -> np.ndarray:
    return (np.asarray(points) * 2**_FRACTION_BITS).astype(np.int32)


def _color(color: RGB) -> tuple[int, int, int]:
    return (_byte(color[0]), _byte(color[1]), _byte(color[2]))


def _byte(value: float) -> int:
    return min(max(int(value), 0), 255)
