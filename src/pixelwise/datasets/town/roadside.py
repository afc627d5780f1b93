"""The roadside: houses, trees and hedges behind the pavement; people and poles on it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pixelwise.datasets.town.canvas import LABEL, NEAREST, RGB, Canvas, jitter, mix, scale
from pixelwise.datasets.town.objects import (
    draw_clutter,
    draw_fence,
    draw_hedge,
    draw_lamp,
    draw_person,
    draw_sign,
    draw_tree,
)
from pixelwise.datasets.town.weather import Side

Painter = tuple[float, Callable[[], None]]
"""Distance and the function that draws there; the farthest is drawn first."""


WALLS: tuple[RGB, ...] = (
    (172, 118, 92),
    (196, 178, 148),
    (150, 146, 138),
    (206, 202, 192),
    (128, 104, 92),
    (186, 160, 112),
    (142, 152, 160),
    (112, 112, 116),
    (178, 136, 120),
)


LEAVES: tuple[RGB, ...] = ((74, 104, 48), (58, 88, 46), (96, 112, 52), (128, 110, 46), (46, 76, 50), (140, 92, 44))


def behind_pavement(canvas: Canvas, rng: np.random.Generator, side: Side, leaves: RGB) -> list[Painter]:
    """Houses, gardens and parks along one side, section by section."""
    painters: list[Painter] = []
    z = rng.uniform(-6, 2)
    setback = 0.0 if side.kind == "city" else rng.uniform(1.5, 5)
    while z < 100:
        end = z + (rng.uniform(7, 22) if side.kind == "city" else rng.uniform(8, 16))
        if side.is_open(z, end):
            # Houses end where the side street begins and continue behind it.
            cut = side.crossing or (z, end)
            if cut[0] - z > 4:
                painters += _stretch(canvas, rng, side, z, cut[0], setback, leaves)
            z = cut[1]
            continue
        painters += _stretch(canvas, rng, side, z, end, setback, leaves)
        z = end + (0.0 if side.kind == "city" else rng.uniform(1, 6))
    return painters


def _stretch(
    canvas: Canvas, rng: np.random.Generator, side: Side, near: float, far: float, setback: float, leaves: RGB
) -> list[Painter]:
    painters: list[Painter] = []
    x = side.sign * (side.edge + setback)
    built = {"city": 0.9, "houses": 0.75, "park": 0.08}[side.kind]
    if far > NEAREST + 0.5 and rng.random() < built:
        height = rng.uniform(8, 19) if side.kind == "city" else rng.uniform(4.5, 8)
        # Sorted by its far end: whatever stands along the wall is in front of it.
        painters.append((far, lambda: _house(canvas, rng, side.sign, x, max(near, NEAREST), far, height)))
    else:
        for _ in range(rng.integers(2, 5)):
            at, out = rng.uniform(max(near, 3), max(far, 4)), rng.uniform(0.5, 9)
            tall = rng.uniform(4, 10)
            painters.append((at + 5, _tree_painter(canvas, rng, x + side.sign * out, at, leaves, tall)))
    if side.kind != "city" and rng.random() < 0.7 and far > 3:
        edge, height = side.sign * (side.edge + 0.1), rng.uniform(0.8, 1.9)
        start = max(near, 2.0)
        painters.append((far - 0.5, lambda: draw_fence(canvas, rng, edge, start, far, height=height)))
    if side.kind != "city":
        for _ in range(rng.integers(0, 4)):
            at = rng.uniform(max(near, 3), max(far, 4))
            painters.append((at + 2, _hedge_painter(canvas, rng, side.sign * (side.edge + 0.8), at, leaves)))
    return painters


def _tree_painter(
    canvas: Canvas, rng: np.random.Generator, x: float, z: float, leaves: RGB, height: float
) -> Callable[[], None]:
    def paint() -> None:
        if canvas.is_visible(x, z, 0.5 * height):
            draw_tree(canvas, rng, x, z, leaves=leaves, height=height)

    return paint


def _hedge_painter(canvas: Canvas, rng: np.random.Generator, x: float, z: float, leaves: RGB) -> Callable[[], None]:
    def paint() -> None:
        if canvas.is_visible(x, z, 2):
            draw_hedge(canvas, rng, x, z, leaves=leaves)

    return paint


def _house(
    canvas: Canvas, rng: np.random.Generator, sign: int, x: float, near: float, far: float, height: float
) -> None:
    """A facade along the street with windows, the wall facing the camera, and a roof."""
    label = LABEL["building"]
    wall = jitter(rng, WALLS[int(rng.integers(len(WALLS)))], 0.22)
    tone = 0.82 if sign < 0 else 1.0
    middle = min(near + 6, 0.5 * (near + far))
    front = [(x, 0, near), (x, height, near), (x + sign * 12, height, near), (x + sign * 12, 0, near)]
    canvas.polygon(canvas.project(front), canvas.faded(scale(wall, 0.9), near), label)
    if height < 9:
        ridge = height + rng.uniform(1.2, 2.6)
        roof = jitter(rng, (122, 74, 58) if rng.random() < 0.6 else (84, 84, 90), 0.2)
        gable = [(x, height, near), (x + sign * 3.5, ridge, near), (x + sign * 3.5, ridge, far), (x, height, far)]
        canvas.polygon(canvas.project(gable), canvas.faded(roof, middle), label)
        end = [(x, height, near), (x + sign * 3.5, ridge, near), (x + sign * 7, height, near)]
        canvas.polygon(canvas.project(end), canvas.faded(scale(wall, 0.85), near), label)
    facade = [(x, 0, near), (x, height, near), (x, height, far), (x, 0, far)]
    canvas.polygon(canvas.project(facade), canvas.faded(scale(wall, tone), middle), label)
    storey, bay = rng.uniform(2.7, 3.4), rng.uniform(1.8, 3.4)
    shop = height > 9 and rng.random() < 0.5
    lit = rng.random() < 0.12
    glass = jitter(rng, (222, 196, 120) if lit else mix((66, 74, 84), wall, rng.uniform(0, 0.45)), 0.2)
    tall, wide = rng.uniform(0.45, 0.7) * storey, rng.uniform(0.35, 0.65) * bay
    base = np.arange(storey if shop else 0.0, height - storey * 0.8, storey) + 0.25 * storey
    places = np.arange(near + 0.5, far - bay, bay)
    if len(base) and len(places):
        low, z = (grid.ravel() for grid in np.meshgrid(base, places))
        xs = np.full_like(low, x)
        quads = np.stack(
            [
                np.stack([xs, low, z], 1),
                np.stack([xs, low + tall, z], 1),
                np.stack([xs, low + tall, z + wide], 1),
                np.stack([xs, low, z + wide], 1),
            ],
            axis=1,
        )
        canvas.details(canvas.project(quads), canvas.faded(scale(glass, tone), middle))
    if shop:
        window = [(x, 0.4, near + 0.4), (x, 2.3, near + 0.4), (x, 2.3, far - 0.4), (x, 0.4, far - 0.4)]
        canvas.polygon(canvas.project(window), canvas.faded(scale(glass, 0.8 * tone), middle))
        sign_board = jitter(
            rng, ((150, 50, 48), (46, 84, 130), (60, 104, 72), (210, 190, 140))[int(rng.integers(4))], 0.3
        )
        board = [(x, 2.35, near), (x, 2.95, near), (x, 2.95, far), (x, 2.35, far)]
        canvas.polygon(canvas.project(board), canvas.faded(scale(sign_board, tone), middle))
    ledge = [(x, height - 0.35, near), (x, height, near), (x, height, far), (x, height - 0.35, far)]
    canvas.polygon(canvas.project(ledge), canvas.faded(scale(wall, 0.72 * tone), middle))


def on_pavement(canvas: Canvas, rng: np.random.Generator, side: Side, leaves: RGB) -> list[Painter]:
    """Lamps, signs, street trees, people and clutter between kerb and wall."""
    painters: list[Painter] = []
    s = side.sign

    def put(z: float, paint: Callable[[], None]) -> None:
        if not side.is_open(z - 0.5, z + 0.5):
            painters.append((z, paint))

    kerb = s * (side.kerb + 0.45)
    for z in np.arange(rng.uniform(5, 14), 80, rng.uniform(12, 26)):
        put(z, lambda z=z: draw_lamp(canvas, rng, kerb, z))
    for _ in range(rng.integers(0, 4)):
        z = rng.uniform(4.5, 20)
        put(z, lambda z=z: draw_sign(canvas, rng, kerb + s * rng.uniform(-0.1, 0.4), z))
    if rng.random() < 0.45:
        height = rng.uniform(4, 8)
        for z in np.arange(rng.uniform(7, 16), 90, rng.uniform(6, 14)):
            put(z, _tree_painter(canvas, rng, kerb + s * 0.3, z, leaves, height * rng.uniform(0.8, 1.2)))
    for _ in range(rng.poisson(2.2)):
        x, z = s * rng.uniform(side.kerb + 0.4, side.edge - 0.1), rng.uniform(4, 20)
        put(z, lambda x=x, z=z: draw_person(canvas, rng, x, z))
    for _ in range(rng.poisson(1.2)):
        x, z = s * rng.uniform(side.kerb + 0.3, side.edge), rng.uniform(4, 26)
        put(z, lambda x=x, z=z: draw_clutter(canvas, rng, x, z))
    if rng.random() < 0.16:
        near, x = rng.uniform(4, 14), s * (side.kerb + 0.2)
        far = near + rng.uniform(5, 14)
        put(far, lambda: draw_fence(canvas, rng, x, near, far, height=1.05))
    return painters
