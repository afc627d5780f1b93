"""Composition of a street: light and weather, sky, ground, houses, and the objects in front of them."""

from __future__ import annotations

import cv2
import numpy as np

from pixelwise.datasets.town.canvas import LABEL, RGB, Canvas, jitter, scale
from pixelwise.datasets.town.ground import FARTHEST, draw_ground, draw_shadows
from pixelwise.datasets.town.objects import draw_bicyclist, draw_car, draw_person
from pixelwise.datasets.town.roadside import LEAVES, WALLS, Painter, behind_pavement, on_pavement
from pixelwise.datasets.town.weather import Side, Weather, draw_side


def draw_street(canvas: Canvas, rng: np.random.Generator, weather: Weather) -> None:
    """Draw a complete street into `canvas`."""
    half = rng.uniform(2.9, 5.2)
    offset = rng.uniform(-0.45, 0.45) * half
    sides = (draw_side(rng, -1, half + offset), draw_side(rng, 1, half - offset))
    leaves = LEAVES[int(rng.integers(len(LEAVES)))]
    _sky(canvas, rng, weather)
    _skyline(canvas, rng, leaves)
    draw_ground(canvas, rng, sides)
    painters: list[Painter] = []
    for side in sides:
        painters += behind_pavement(canvas, rng, side, leaves)
        painters += on_pavement(canvas, rng, side, leaves)
    painters += _traffic(canvas, rng, sides)
    draw_shadows(canvas, rng, weather, sides)
    for _, paint in sorted(painters, key=lambda painter: -painter[0]):
        paint()
    if rng.random() < 0.2:
        _bonnet(canvas, rng)


def _sky(canvas: Canvas, rng: np.random.Generator, weather: Weather) -> None:
    height, width = canvas.labels.shape
    rows = min(int(canvas.horizon) + 2, height)
    # Clouds are soft, so a small image, enlarged, is enough.
    fall = np.linspace(0, 1, 24, dtype=np.float32)[:, None, None] ** 1.4
    zenith, haze = np.array(weather.zenith, np.float32), np.array(weather.haze, np.float32)
    coarse = rng.random((6, 9), np.float32) + 0.5 * rng.random((6, 1), np.float32)
    clouds = cv2.resize(coarse, (32, 24), interpolation=cv2.INTER_CUBIC)[..., None]
    cover = np.clip((clouds - 0.75) * 2, 0, 1) * weather.cloud
    sky = zenith + (haze - zenith) * fall
    sky = np.clip(sky + (np.minimum(haze * 1.1, 250) - sky) * cover, 0, 255).astype(np.uint8)
    canvas.image[:rows] = cv2.resize(sky, (width, rows), interpolation=cv2.INTER_CUBIC)
    canvas.labels[:rows] = LABEL["sky"]


def _skyline(canvas: Canvas, rng: np.random.Generator, leaves: RGB) -> None:
    """Distant houses and trees on the horizon."""
    width = canvas.labels.shape[1]
    column = -10.0
    while column < width:
        step = rng.uniform(0.03, 0.12) * width
        top = canvas.horizon - canvas.pixels(rng.uniform(3, 16), FARTHEST)
        if rng.random() < 0.55:
            wall = canvas.faded(jitter(rng, WALLS[int(rng.integers(len(WALLS)))], 0.15), FARTHEST)
            low = canvas.horizon + 2
            corners = [(column, low), (column, top), (column + step, top), (column + step, low)]
            canvas.polygon(np.array(corners), wall, LABEL["building"])
        else:
            for _ in range(4):
                at = (column + rng.random() * step, canvas.horizon - rng.random() * (canvas.horizon - top))
                color = canvas.faded(jitter(rng, leaves, 0.2), FARTHEST)
                canvas.ellipse(at, (0.35 * step, 0.3 * (canvas.horizon - top) + 1), color, LABEL["tree"])
        column += step * rng.uniform(0.6, 1.3)


def _traffic(canvas: Canvas, rng: np.random.Generator, sides: tuple[Side, Side]) -> list[Painter]:
    """Parked and moving cars, bicyclists, and people crossing the road."""
    painters: list[Painter] = []
    left, right = -sides[0].kerb, sides[1].kerb
    for side in sides:
        x = side.sign * (side.kerb - 1.05)
        if rng.random() < 0.62:
            z = rng.uniform(4, 16)
            while z < 75:
                if rng.random() < 0.75 and not side.is_open(z - 1, z + 6):
                    painters.append((z, lambda x=x, z=z: draw_car(canvas, rng, x + rng.uniform(-0.15, 0.15), z)))
                z += rng.uniform(5.4, 9)
    for _ in range(rng.integers(0, 4)):
        lane = rng.choice((0.3, 0.7))
        x, z = left + (right - left) * lane + rng.uniform(-0.4, 0.4), rng.uniform(7, 60)
        painters.append((z, lambda x=x, z=z: draw_car(canvas, rng, x, z)))
    for side in sides:
        if side.crossing is not None and rng.random() < 0.5:
            x, z = side.sign * rng.uniform(side.kerb, side.edge + 9), 0.5 * sum(side.crossing)
            painters.append((z, lambda x=x, z=z: draw_car(canvas, rng, x, z, across=True)))
    for _ in range(rng.poisson(0.75)):
        x, z = rng.uniform(left + 0.6, right - 0.6), rng.uniform(4.5, 17)
        painters.append((z, lambda x=x, z=z: draw_bicyclist(canvas, rng, x, z)))
    if rng.random() < 0.2:
        x, z = rng.uniform(left, right), rng.uniform(6, 18)
        painters.append((z, lambda: draw_person(canvas, rng, x, z)))
    return painters


def _bonnet(canvas: Canvas, rng: np.random.Generator) -> None:
    """The bonnet of the car that carries the camera; it has no class."""
    height, width = canvas.labels.shape
    paint = jitter(rng, (60, 62, 68), 0.5)
    at = (0.5 * width, height * rng.uniform(1.02, 1.08))
    canvas.ellipse(at, (0.62 * width, 0.13 * height), paint, LABEL["void"])
    canvas.ellipse((at[0], at[1] + 0.02 * height), (0.58 * width, 0.12 * height), scale(paint, 1.25))
