"""The ground: road, markings, pavements and grass, and the shadows on them."""

from __future__ import annotations

import cv2
import numpy as np

from pixelwise.datasets.town.canvas import LABEL, NEAREST, RGB, Canvas, jitter, mix, scale
from pixelwise.datasets.town.weather import Side, Weather

FARTHEST = 150.0


# Distances at which outlines along the street are sampled; dense near the camera, where they bend most.
_ALONG = (1.6, 2.2, 3, 4, 5.5, 8, 11, 15, 21, 30, 45, 70, 105)


def strip(inner: float, outer: float, near: float = NEAREST, far: float = FARTHEST) -> np.ndarray:
    """World outline (N, 3) of a strip of ground that follows the street."""
    between = [z for z in _ALONG if near < z < far]
    z = np.array([near, *between, far, far, *reversed(between), near])
    outline = np.zeros((len(z), 3))
    outline[:, 0] = inner
    outline[len(z) // 2 :, 0] = outer
    outline[:, 2] = z
    return outline


def _bars(left: float, right: float, starts: np.ndarray, length: float) -> np.ndarray:
    """World corners (P, 4, 3) of rectangles on the ground that start at the distances `starts`."""
    bars = np.zeros((len(starts), 4, 3))
    bars[:, :2, 0], bars[:, 2:, 0] = left, right
    bars[:, 0, 2] = bars[:, 3, 2] = starts
    bars[:, 1, 2] = bars[:, 2, 2] = starts + length
    return bars


def draw_ground(canvas: Canvas, rng: np.random.Generator, sides: tuple[Side, Side]) -> None:
    """Draw the road, its markings, and pavements, parking and grass on both sides."""
    asphalt = jitter(rng, (104, 104, 106), 0.28, tint=16)
    paving = jitter(rng, mix((150, 146, 140), asphalt, rng.uniform(0, 0.75)), 0.16, tint=30)
    for side in sides:
        s = side.sign
        grass = side.kind == "park" or (side.kind == "houses" and rng.random() < 0.5)
        beyond = jitter(rng, (104, 118, 66), 0.25) if grass else scale(paving, 0.95)
        label = LABEL["void"] if grass else LABEL["pavement"]
        canvas.polygon(canvas.project(strip(0, s * 400)), canvas.faded(beyond, 12), label)
        canvas.polygon(canvas.project(strip(s * side.kerb, s * side.edge)), canvas.faded(paving, 8), LABEL["pavement"])
        joints = np.arange(3, 22, rng.uniform(0.9, 2))
        canvas.details(canvas.project(_bars(s * side.kerb, s * side.edge, joints, 0.07)), scale(paving, 0.86))
        if side.crossing is not None:
            canvas.polygon(
                canvas.project(strip(s * 0.5, s * 400, *side.crossing)), canvas.faded(asphalt, 25), LABEL["road"]
            )
    left, right = sides
    canvas.polygon(canvas.project(strip(-left.kerb, right.kerb)), canvas.faded(asphalt, 6), LABEL["road"])
    _road_surface(canvas, rng, asphalt, sides)
    for side in sides:
        stone = scale(paving, rng.uniform(0.75, 1.2))
        x = side.sign * side.kerb
        gap = side.crossing
        stretches = [(NEAREST, FARTHEST)] if gap is None else [(NEAREST, gap[0]), (gap[1], FARTHEST)]
        for near, far in stretches:
            canvas.polygon(
                canvas.project(strip(x, x + side.sign * 0.22, near, far)), canvas.faded(stone, 8), LABEL["pavement"]
            )


def _road_surface(canvas: Canvas, rng: np.random.Generator, asphalt: RGB, sides: tuple[Side, Side]) -> None:
    """Patches, markings and a zebra crossing; all of it is labelled road."""
    left, right = -sides[0].kerb, sides[1].kerb
    for _ in range(rng.integers(2, 6)):
        x, z = rng.uniform(left, right), rng.uniform(3, 30)
        patch = np.clip([x, x + rng.uniform(0.6, 2.6)], left, right)
        tone = canvas.faded(scale(asphalt, rng.uniform(0.8, 1.14)), z)
        canvas.polygon(canvas.project(strip(patch[0], patch[1], z, z + rng.uniform(0.8, 6))), tone)
    paint = mix(asphalt, (236, 234, 224), rng.uniform(0.35, 0.95))
    middle = 0.5 * (left + right)
    style = rng.integers(4)
    if style in (0, 1):
        dash, gap = (2.0, 3.5) if style == 0 else (4.5, 2.0)
        starts = np.arange(NEAREST + rng.uniform(0, 3), 90, dash + gap)
        dashes = _bars(middle - 0.07, middle + 0.07, starts, dash)
        canvas.details(canvas.project(dashes), canvas.faded(paint, 12))
    elif style == 2:
        canvas.polygon(canvas.project(strip(middle - 0.07, middle + 0.07)), canvas.faded(paint, 8))
    if rng.random() < 0.35:
        for x in (left + 0.35, right - 0.35):
            canvas.polygon(canvas.project(strip(x - 0.06, x + 0.06)), canvas.faded(paint, 8))
    if rng.random() < 0.25:
        z = rng.uniform(7, 22)
        for x in np.arange(left + 0.3, right - 0.6, 1.0):
            canvas.details(canvas.project(_bars(x, x + 0.5, np.array([z]), 2.6)), canvas.faded(paint, z))


def draw_shadows(canvas: Canvas, rng: np.random.Generator, weather: Weather, sides: tuple[Side, Side]) -> None:
    """Darken parts of the ground with the shadows of a row of houses and with scattered patches."""
    if weather.shadow < 0.06:
        return
    dark = np.zeros(canvas.labels.shape, np.uint8)

    def blot(outline: np.ndarray, strength: int) -> None:
        cv2.fillPoly(dark, [canvas.project(outline).astype(np.int32)], strength)

    sun = int(rng.choice((-1, 1)))
    side = sides[0] if sun < 0 else sides[1]
    reach = rng.uniform(0.1, 1.1) * (sides[0].kerb + sides[1].kerb)
    z = NEAREST
    while z < 70:
        end = z + rng.uniform(5, 16)
        if rng.random() < 0.7 and not side.is_open(z, end):
            edge = sun * side.edge
            blot(strip(edge + sun * 8, edge - sun * reach * rng.uniform(0.7, 1.1), z, end), 255)
        z = end
    for _ in range(rng.integers(0, 7)):
        x, z = rng.uniform(-sides[0].edge, sides[1].edge), rng.uniform(3, 30)
        blot(strip(x, x + rng.uniform(0.5, 2.5), z, z + rng.uniform(0.6, 2.5)), 190)
    dark[: int(canvas.horizon)] = 0
    soft = cv2.GaussianBlur(dark, (5, 5), 0)
    share = cv2.multiply(soft, np.ones_like(soft), scale=weather.shadow)
    factor = cv2.merge([255 - share] * 3)
    canvas.image[:] = cv2.multiply(canvas.image, factor, scale=1 / 255)
