"""Composes a street: light and weather, sky, ground, houses, and what stands in front of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from pixelwise.datasets.town.canvas import LABEL, NEAREST, RGB, Canvas, jitter, mix, scale
from pixelwise.datasets.town.objects import (
    draw_bicyclist,
    draw_car,
    draw_clutter,
    draw_fence,
    draw_hedge,
    draw_lamp,
    draw_person,
    draw_sign,
    draw_tree,
)

Painter = tuple[float, Callable[[], None]]
"""A distance and what to draw there; the farthest is drawn first."""

_FAR = 150.0
# Sample distances of everything that runs along the street; dense near the camera, where it bends most.
_ALONG = (1.6, 2.2, 3, 4, 5.5, 8, 11, 15, 21, 30, 45, 70, 105)
_WALLS: tuple[RGB, ...] = (
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
_LEAVES: tuple[RGB, ...] = ((74, 104, 48), (58, 88, 46), (96, 112, 52), (128, 110, 46), (46, 76, 50), (140, 92, 44))


@dataclass(frozen=True)
class Weather:
    """Light of a scene.

    Attributes:
        zenith: Colour of the sky above.
        haze: Colour of the sky at the horizon, and what distant things fade to.
        visibility: In metres, see `Canvas`.
        gain: Per-channel factor on the finished picture.
        shadow: How dark shadows are, 0..1.
        noise: Standard deviation of the camera's noise.
        cloud: How much of the sky is clouds, 0..1.
    """

    zenith: RGB
    haze: RGB
    visibility: float
    gain: RGB
    shadow: float
    noise: float
    cloud: float


@dataclass(frozen=True)
class Side:
    """One side of the street.

    Attributes:
        sign: -1 left, 1 right.
        kerb: Distance of the kerb from the camera's line, metres.
        walk: Width of the pavement.
        kind: What lies behind the pavement.
        crossing: Near and far distance of a side street, or None.
    """

    sign: int
    kerb: float
    walk: float
    kind: str
    crossing: tuple[float, float] | None

    @property
    def edge(self) -> float:
        """Distance of the outer edge of the pavement from the camera's line."""
        return self.kerb + self.walk

    def is_open(self, near: float, far: float) -> bool:
        """Whether the stretch from `near` to `far` touches the side street."""
        return self.crossing is not None and near < self.crossing[1] and far > self.crossing[0]


def draw_weather(rng: np.random.Generator) -> Weather:
    """A random light: clear, overcast, low sun, dusk or fog."""
    kind = rng.choice(5, p=(0.36, 0.28, 0.16, 0.12, 0.08))
    zenith, haze, visibility, gain, shadow, cloud = (
        ((96, 146, 206), (196, 212, 226), 170, (1.0, 1.0, 1.0), 0.45, 0.5),
        ((176, 182, 190), (204, 206, 208), 120, (0.92, 0.94, 0.97), 0.15, 0.9),
        ((118, 146, 186), (236, 206, 168), 110, (1.08, 0.97, 0.82), 0.55, 0.4),
        ((70, 88, 128), (170, 146, 140), 90, (0.68, 0.66, 0.74), 0.2, 0.6),
        ((188, 190, 192), (196, 198, 200), 34, (0.95, 0.96, 0.98), 0.05, 0.2),
    )[kind]
    exposure = rng.uniform(0.78, 1.18)
    return Weather(
        zenith=jitter(rng, zenith, 0.12),
        haze=jitter(rng, haze, 0.06),
        visibility=visibility * rng.uniform(0.7, 1.4),
        gain=scale(gain, exposure),
        shadow=shadow * rng.uniform(0.6, 1.1),
        noise=rng.uniform(2, 5) + (2.5 if kind == 3 else 0),
        cloud=cloud * rng.uniform(0.3, 1),
    )


def draw_street(canvas: Canvas, rng: np.random.Generator, weather: Weather) -> None:
    """Draw a complete street into `canvas`."""
    half = rng.uniform(2.9, 5.2)
    offset = rng.uniform(-0.45, 0.45) * half
    sides = (_side(rng, -1, half + offset), _side(rng, 1, half - offset))
    leaves = _LEAVES[int(rng.integers(len(_LEAVES)))]
    _sky(canvas, rng, weather)
    _skyline(canvas, rng, leaves)
    _ground(canvas, rng, sides)
    painters: list[Painter] = []
    for side in sides:
        painters += _behind_pavement(canvas, rng, side, leaves)
        painters += _on_pavement(canvas, rng, side, leaves)
    painters += _traffic(canvas, rng, sides)
    _shadows(canvas, rng, weather, sides)
    for _, paint in sorted(painters, key=lambda painter: -painter[0]):
        paint()
    if rng.random() < 0.2:
        _bonnet(canvas, rng)


def _side(rng: np.random.Generator, sign: int, kerb: float) -> Side:
    near = rng.uniform(9, 40)
    crossing = (near, near + rng.uniform(6, 10)) if rng.random() < 0.4 else None
    kind = ("city", "houses", "park")[int(rng.choice(3, p=(0.48, 0.32, 0.2)))]
    return Side(sign, kerb, rng.uniform(2.0, 5.2), kind, crossing)


def _sky(canvas: Canvas, rng: np.random.Generator, weather: Weather) -> None:
    height, width = canvas.labels.shape
    rows = min(int(canvas.horizon) + 2, height)
    # Clouds are soft: a small picture, enlarged, is enough.
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
        top = canvas.horizon - canvas.pixels(rng.uniform(3, 16), _FAR)
        if rng.random() < 0.55:
            wall = canvas.faded(jitter(rng, _WALLS[int(rng.integers(len(_WALLS)))], 0.15), _FAR)
            low = canvas.horizon + 2
            corners = [(column, low), (column, top), (column + step, top), (column + step, low)]
            canvas.polygon(np.array(corners), wall, LABEL["building"])
        else:
            for _ in range(4):
                at = (column + rng.random() * step, canvas.horizon - rng.random() * (canvas.horizon - top))
                color = canvas.faded(jitter(rng, leaves, 0.2), _FAR)
                canvas.ellipse(at, (0.35 * step, 0.3 * (canvas.horizon - top) + 1), color, LABEL["tree"])
        column += step * rng.uniform(0.6, 1.3)


def _strip(inner: float, outer: float, near: float = NEAREST, far: float = _FAR) -> np.ndarray:
    """World outline (N, 3) of a strip of ground that follows the street."""
    between = [z for z in _ALONG if near < z < far]
    z = np.array([near, *between, far, far, *reversed(between), near])
    outline = np.zeros((len(z), 3))
    outline[:, 0] = inner
    outline[len(z) // 2 :, 0] = outer
    outline[:, 2] = z
    return outline


def _bars(left: float, right: float, starts: np.ndarray, length: float) -> np.ndarray:
    """World corners (P, 4, 3) of rectangles on the ground that begin at the distances `starts`."""
    bars = np.zeros((len(starts), 4, 3))
    bars[:, :2, 0], bars[:, 2:, 0] = left, right
    bars[:, 0, 2] = bars[:, 3, 2] = starts
    bars[:, 1, 2] = bars[:, 2, 2] = starts + length
    return bars


def _ground(canvas: Canvas, rng: np.random.Generator, sides: tuple[Side, Side]) -> None:
    asphalt = jitter(rng, (104, 104, 106), 0.28, tint=16)
    paving = jitter(rng, mix((150, 146, 140), asphalt, rng.uniform(0, 0.75)), 0.16, tint=30)
    for side in sides:
        s = side.sign
        grass = side.kind == "park" or (side.kind == "houses" and rng.random() < 0.5)
        beyond = jitter(rng, (104, 118, 66), 0.25) if grass else scale(paving, 0.95)
        label = LABEL["void"] if grass else LABEL["pavement"]
        canvas.polygon(canvas.project(_strip(0, s * 400)), canvas.faded(beyond, 12), label)
        canvas.polygon(canvas.project(_strip(s * side.kerb, s * side.edge)), canvas.faded(paving, 8), LABEL["pavement"])
        joints = np.arange(3, 22, rng.uniform(0.9, 2))
        canvas.details(canvas.project(_bars(s * side.kerb, s * side.edge, joints, 0.07)), scale(paving, 0.86))
        if side.crossing is not None:
            canvas.polygon(
                canvas.project(_strip(s * 0.5, s * 400, *side.crossing)), canvas.faded(asphalt, 25), LABEL["road"]
            )
    left, right = sides
    canvas.polygon(canvas.project(_strip(-left.kerb, right.kerb)), canvas.faded(asphalt, 6), LABEL["road"])
    _road_surface(canvas, rng, asphalt, sides)
    for side in sides:
        stone = scale(paving, rng.uniform(0.75, 1.2))
        x = side.sign * side.kerb
        stretches = (
            [(NEAREST, _FAR)] if side.crossing is None else [(NEAREST, side.crossing[0]), (side.crossing[1], _FAR)]
        )
        for near, far in stretches:
            canvas.polygon(
                canvas.project(_strip(x, x + side.sign * 0.22, near, far)), canvas.faded(stone, 8), LABEL["pavement"]
            )


def _road_surface(canvas: Canvas, rng: np.random.Generator, asphalt: RGB, sides: tuple[Side, Side]) -> None:
    """Patches, tracks and markings; all of it is road."""
    left, right = -sides[0].kerb, sides[1].kerb
    for _ in range(rng.integers(2, 6)):
        x, z = rng.uniform(left, right), rng.uniform(3, 30)
        patch = np.clip([x, x + rng.uniform(0.6, 2.6)], left, right)
        tone = canvas.faded(scale(asphalt, rng.uniform(0.8, 1.14)), z)
        canvas.polygon(canvas.project(_strip(patch[0], patch[1], z, z + rng.uniform(0.8, 6))), tone)
    paint = mix(asphalt, (236, 234, 224), rng.uniform(0.35, 0.95))
    middle = 0.5 * (left + right)
    style = rng.integers(4)
    if style in (0, 1):
        dash, gap = (2.0, 3.5) if style == 0 else (4.5, 2.0)
        starts = np.arange(NEAREST + rng.uniform(0, 3), 90, dash + gap)
        dashes = _bars(middle - 0.07, middle + 0.07, starts, dash)
        canvas.details(canvas.project(dashes), canvas.faded(paint, 12))
    elif style == 2:
        canvas.polygon(canvas.project(_strip(middle - 0.07, middle + 0.07)), canvas.faded(paint, 8))
    if rng.random() < 0.35:
        for x in (left + 0.35, right - 0.35):
            canvas.polygon(canvas.project(_strip(x - 0.06, x + 0.06)), canvas.faded(paint, 8))
    if rng.random() < 0.25:
        z = rng.uniform(7, 22)
        for x in np.arange(left + 0.3, right - 0.6, 1.0):
            canvas.details(canvas.project(_bars(x, x + 0.5, np.array([z]), 2.6)), canvas.faded(paint, z))


def _shadows(canvas: Canvas, rng: np.random.Generator, weather: Weather, sides: tuple[Side, Side]) -> None:
    """Darken parts of the ground: a row of houses against the sun, trees, and single blots."""
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
            blot(_strip(edge + sun * 8, edge - sun * reach * rng.uniform(0.7, 1.1), z, end), 255)
        z = end
    for _ in range(rng.integers(0, 7)):
        x, z = rng.uniform(-sides[0].edge, sides[1].edge), rng.uniform(3, 30)
        blot(_strip(x, x + rng.uniform(0.5, 2.5), z, z + rng.uniform(0.6, 2.5)), 190)
    dark[: int(canvas.horizon)] = 0
    soft = cv2.GaussianBlur(dark, (5, 5), 0)
    share = cv2.multiply(soft, np.ones_like(soft), scale=weather.shadow)
    factor = cv2.merge([255 - share] * 3)
    canvas.image[:] = cv2.multiply(canvas.image, factor, scale=1 / 255)


def _behind_pavement(canvas: Canvas, rng: np.random.Generator, side: Side, leaves: RGB) -> list[Painter]:
    """Houses, gardens and parks, stretch by stretch."""
    painters: list[Painter] = []
    z = rng.uniform(-6, 2)
    setback = 0.0 if side.kind == "city" else rng.uniform(1.5, 5)
    while z < 100:
        end = z + (rng.uniform(7, 22) if side.kind == "city" else rng.uniform(8, 16))
        if side.is_open(z, end):
            # Houses end where the side street begins, and go on behind it.
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
        # Its far end decides: whatever stands along the wall is in front of it.
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
    """A facade along the street with windows, the wall that faces the camera, and a roof."""
    label = LABEL["building"]
    wall = jitter(rng, _WALLS[int(rng.integers(len(_WALLS)))], 0.22)
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


def _on_pavement(canvas: Canvas, rng: np.random.Generator, side: Side, leaves: RGB) -> list[Painter]:
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


def _traffic(canvas: Canvas, rng: np.random.Generator, sides: tuple[Side, Side]) -> list[Painter]:
    """Parked and moving cars, bicyclists, people who cross."""
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
    """The car that carries the camera; it has no class."""
    height, width = canvas.labels.shape
    paint = jitter(rng, (60, 62, 68), 0.5)
    at = (0.5 * width, height * rng.uniform(1.02, 1.08))
    canvas.ellipse(at, (0.62 * width, 0.13 * height), paint, LABEL["void"])
    canvas.ellipse((at[0], at[1] + 0.02 * height), (0.58 * width, 0.12 * height), scale(paint, 1.25))
