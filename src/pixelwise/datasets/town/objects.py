"""Objects in the street: cars, people, bicycles, trees, poles, signs, fences."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pixelwise.datasets.town.canvas import LABEL, RGB, Canvas, Point, jitter, mix, scale

_CAR_COLORS: tuple[RGB, ...] = (
    (225, 225, 222),
    (165, 168, 172),
    (40, 42, 46),
    (92, 96, 102),
    (150, 28, 30),
    (32, 56, 120),
    (20, 84, 74),
    (196, 160, 62),
    (120, 86, 60),
)
_SKIN: tuple[RGB, ...] = ((224, 182, 152), (190, 140, 104), (128, 88, 62), (84, 58, 44))
_CLOTH: tuple[RGB, ...] = (
    (48, 50, 60),
    (92, 96, 110),
    (160, 46, 50),
    (60, 84, 140),
    (210, 205, 195),
    (116, 98, 70),
    (60, 100, 70),
    (222, 180, 70),
)
_GLASS: RGB = (52, 62, 74)
_RUBBER: RGB = (26, 26, 28)


def draw_car(canvas: Canvas, rng: np.random.Generator, x: float, z: float, *, across: bool = False) -> None:
    """A car with its near end at distance `z` and its centre at `x`; with `across`, it is seen from the side."""
    label = LABEL["car"]
    paint = jitter(rng, _pick(rng, _CAR_COLORS), 0.2)
    length, width = rng.uniform(3.8, 4.8), rng.uniform(1.65, 1.9)
    tall = rng.random() < 0.25
    height = rng.uniform(1.9, 2.4) if tall else rng.uniform(1.38, 1.6)
    waist = height * (0.55 if tall else rng.uniform(0.56, 0.62))
    half, depth = (length / 2, width) if across else (width / 2, length)
    left, right = x - half, x + half
    _wheels(canvas, x, z, half, depth, across=across)
    _box(canvas, (left, right), (0.22, waist), (z, z + depth), paint, label)
    inset_z = 0.1 if across else depth * (0.05 if tall else 0.16)
    inset_x = half * (0.25 if across and not tall else 0.08)
    cabin_x, cabin_z = (left + inset_x, right - inset_x), (z + inset_z, z + depth - inset_z * 1.8)
    taper = half * (0.3 if across and not tall else 0.12)
    _cabin(canvas, cabin_x, (waist, height), cabin_z, paint, taper)
    if not across:
        lamp: RGB = (196, 30, 28) if rng.random() < 0.65 else (240, 236, 214)
        for edge in (left + 0.08, right - 0.34):
            canvas.face(_front((edge, edge + 0.26), (waist * 0.66, waist * 0.86), z), lamp)
        canvas.face(_front((x - 0.26, x + 0.26), (0.42, 0.54), z), (214, 212, 190))
        canvas.face(_front((left, right), (0.22, 0.36), z), scale(paint, 0.45))
    else:
        canvas.face(_front((left, right), (0.22, 0.34), z), scale(paint, 0.5))
        canvas.line(
            [canvas.point(x, 0.3, z), canvas.point(x, height * 0.95, z)],
            canvas.pixels(0.07, z),
            scale(canvas.faded(paint, z), 0.6),
        )


def draw_person(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """A standing or walking person, occasionally a child."""
    label = LABEL["pedestrian"]
    tall = rng.uniform(1.1, 1.35) if rng.random() < 0.12 else rng.uniform(1.58, 1.88)
    at, unit = _place(canvas, x, z, tall)
    coat, trousers = (canvas.faded(jitter(rng, _pick(rng, _CLOTH), 0.3), z) for _ in range(2))
    stride, swing = rng.uniform(0.02, 0.14), rng.uniform(-0.06, 0.06)
    for side in (-1, 1):
        tone = scale(trousers, 0.85 if side < 0 else 1)
        canvas.line([at(side * 0.045, 0.48), at(side * stride, 0)], 0.1 * unit, tone, label)
    canvas.polygon([at(-0.09, 0.48), at(-0.13, 0.82), at(0.13, 0.82), at(0.09, 0.48)], coat, label)
    for side in (-1, 1):
        arm = [at(side * 0.13, 0.79), at(side * (0.15 + swing), 0.46)]
        canvas.line(arm, 0.06 * unit, scale(coat, 0.8), label)
    canvas.ellipse(at(0, 0.905), (0.058 * unit, 0.075 * unit), canvas.faded(_pick(rng, _SKIN), z), label)
    hair = canvas.faded(_pick(rng, ((40, 30, 24), (92, 66, 40), (150, 128, 96), (30, 30, 34))), z)
    canvas.ellipse(at(0, 0.94), (0.06 * unit, 0.05 * unit), hair, label)
    if rng.random() < 0.3:
        canvas.ellipse(at(0.13, 0.5), (0.05 * unit, 0.09 * unit), scale(trousers, 0.7), label)


def draw_bicyclist(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """A person on a bicycle, seen from the side or from behind; person and bicycle are one class."""
    label = LABEL["bicyclist"]
    at, unit = _place(canvas, x, z, 1.0)
    coat, trousers = (canvas.faded(jitter(rng, _pick(rng, _CLOTH), 0.3), z) for _ in range(2))
    frame = canvas.faded(jitter(rng, _pick(rng, _CAR_COLORS), 0.3), z)
    if rng.random() < 0.5:
        way, half, seat = 0, 0.2, 0.0
        canvas.ellipse(at(0, 0.34), (0.05 * unit, 0.34 * unit), canvas.faded(_RUBBER, z), label)
        for side in (-1, 1):
            leg = [at(side * 0.1, 0.92), at(side * 0.12, rng.uniform(0.15, 0.45))]
            canvas.line(leg, 0.14 * unit, trousers, label)
        canvas.line([at(-0.3, 1.04), at(0.3, 1.04)], 0.04 * unit, frame, label)
    else:
        way, half = 1 if rng.random() < 0.5 else -1, 0.13
        seat = -0.16 * way
        for wheel in (-0.52, 0.52):
            canvas.ellipse(at(wheel, 0.34), (0.33 * unit, 0.33 * unit), canvas.faded(_RUBBER, z), label)
            # The street seen between the spokes is labelled bicyclist, as in CamVid.
            canvas.ellipse(at(wheel, 0.34), (0.25 * unit, 0.25 * unit), canvas.faded((104, 104, 102), z))
        canvas.line([at(-0.52, 0.34), at(seat, 0.95), at(0, 0.3), at(0.52, 0.34)], 0.06 * unit, frame, label)
        canvas.line([at(0.52 * way, 0.34), at(0.42 * way, 1.02)], 0.05 * unit, frame, label)
        canvas.line([at(seat, 0.95), at(0.12 * way, 0.62), at(0, 0.3)], 0.14 * unit, trousers, label)
    lean = seat + 0.24 * way
    torso = [at(seat - 0.8 * half, 0.93), at(lean - half, 1.46), at(lean + half, 1.46), at(seat + 0.8 * half, 0.93)]
    canvas.polygon(torso, coat, label)
    if way:
        canvas.line([at(lean, 1.42), at(0.42 * way, 1.04)], 0.09 * unit, scale(coat, 0.8), label)
    head = lean + 0.07 * way
    canvas.ellipse(at(head, 1.6), (0.1 * unit, 0.13 * unit), canvas.faded(_pick(rng, _SKIN), z), label)
    helmet = canvas.faded(jitter(rng, _pick(rng, _CLOTH), 0.4), z)
    canvas.ellipse(at(head, 1.67), (0.11 * unit, 0.08 * unit), helmet, label)


def draw_tree(canvas: Canvas, rng: np.random.Generator, x: float, z: float, *, leaves: RGB, height: float) -> None:
    """A trunk and a crown of overlapping clumps, lit from above."""
    label = LABEL["tree"]
    spread = height * rng.uniform(0.26, 0.36)
    at, unit = _place(canvas, x, z, 1.0)
    crown, middle = spread * unit, height - 0.9 * spread
    trunk = canvas.faded(jitter(rng, (84, 66, 50), 0.3), z)
    canvas.line([at(0, 0), at(0, middle)], height * 0.045 * unit, trunk, label)
    # The clumps of a distant crown would be smaller than a pixel.
    num_clumps = 14 if crown > 16 else 6
    for clump, (turn, far, size, flat, tilt) in enumerate(rng.random((num_clumps, 5)).tolist()):
        far, turn = math.sqrt(far), 2 * math.pi * turn
        up = 0.95 * far * math.sin(turn)
        light = 0.78 + 0.3 * up + 0.17 * clump / num_clumps
        radius = crown * (0.28 + 0.22 * size)
        color = canvas.faded(jitter(rng, scale(leaves, light), 0.1), z)
        center = at(spread * far * math.cos(turn), middle + spread * up)
        canvas.ellipse(center, (radius, radius * (0.7 + 0.3 * flat)), color, label, angle=180 * tilt)


def draw_hedge(canvas: Canvas, rng: np.random.Generator, x: float, z: float, *, leaves: RGB) -> None:
    """A bush beside the pavement."""
    at, unit = _place(canvas, x, z, rng.uniform(0.7, 1.5))
    for right, up, light in rng.random((6 if unit > 12 else 3, 3)).tolist():
        color = canvas.faded(jitter(rng, scale(leaves, 0.6 + 0.45 * light), 0.12), z)
        canvas.ellipse(at(1.8 * right - 0.9, 0.2 + 0.55 * up), (0.5 * unit, 0.38 * unit), color, LABEL["tree"])


def draw_lamp(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """A street lamp leaning over the road, or a plain mast."""
    label = LABEL["pole"]
    height, reach = rng.uniform(5.5, 8.5), -math.copysign(rng.uniform(0.8, 2.2), x)
    at, unit = _place(canvas, x, z, 1.0)
    metal = canvas.faded(jitter(rng, (118, 122, 122), 0.35), z)
    mast = [at(0, 0), at(0, height)]
    if rng.random() < 0.75:
        mast += [at(0.3 * reach, height + 0.35), at(reach, height + 0.4)]
        canvas.ellipse(mast[-1], (0.36 * unit, 0.12 * unit), scale(metal, 1.4), label)
    canvas.line(mast, 0.2 * unit, metal, label)
    canvas.line([at(0, 0), at(0, 0.18 * height)], 0.32 * unit, metal, label)


def draw_sign(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """A traffic sign or a traffic light on a pole."""
    sign = LABEL["sign_symbol"]
    metal = canvas.faded(jitter(rng, (128, 130, 130), 0.25), z)
    height, radius = rng.uniform(2.2, 3.2), rng.uniform(0.38, 0.58)
    at, unit = _place(canvas, x, z, radius)
    top = height / radius
    canvas.line([at(0, 0), at(0, top)], 0.13 / radius * unit, metal, LABEL["pole"])
    red, white, blue = (canvas.faded(color, z) for color in ((188, 30, 36), (232, 232, 226), (26, 74, 158)))
    kind = rng.integers(5)
    if kind == 0:
        canvas.ellipse(at(0, top), (unit, unit), red, sign)
        canvas.ellipse(at(0, top), (0.7 * unit, 0.7 * unit), white)
    elif kind == 1:
        canvas.polygon([at(0, top + 1.1), at(1.1, top - 0.8), at(-1.1, top - 0.8)], red, sign)
        canvas.polygon([at(0, top + 0.6), at(0.68, top - 0.56), at(-0.68, top - 0.56)], white)
    elif kind == 2:
        canvas.ellipse(at(0, top), (unit, unit), blue, sign)
        canvas.line([at(0, top - 0.5), at(0, top + 0.6)], 0.3 * unit, white)
    elif kind == 3:
        board = canvas.faded(_pick(rng, ((26, 74, 158), (24, 108, 66), (232, 232, 226), (236, 190, 40))), z)
        corners = [at(-1.5, top + 0.8), at(1.5, top + 0.8), at(1.5, top - 0.6), at(-1.5, top - 0.6)]
        canvas.polygon(corners, board, sign)
        canvas.line([at(-1, top + 0.1), at(0.9, top + 0.1)], 0.25 * unit, mix(board, (140, 140, 140), 0.7))
    else:
        corners = [at(-0.5, top + 2), at(0.5, top + 2), at(0.5, top - 0.6), at(-0.5, top - 0.6)]
        canvas.polygon(corners, (34, 36, 36), sign)
        lit = rng.integers(3)
        for lamp, color in enumerate(((230, 50, 40), (240, 180, 50), (70, 210, 110))):
            light: RGB = color if lamp == lit else (62, 60, 56)
            canvas.ellipse(at(0, top + 1.5 - 0.8 * lamp), (0.3 * unit, 0.3 * unit), light)


def draw_fence(canvas: Canvas, rng: np.random.Generator, x: float, near: float, far: float, *, height: float) -> None:
    """A railing, board fence or low wall along the street, labelled as a whole."""
    paint = jitter(rng, _pick(rng, ((70, 74, 76), (122, 92, 64), (168, 168, 160), (54, 78, 66))), 0.3)
    outline = [(x, 0, near), (x, height, near), (x, height, far), (x, 0, far)]
    middle = 0.5 * (near + far)
    if rng.random() < 0.45:
        canvas.polygon(canvas.project(outline), canvas.faded(scale(paint, 0.95), middle), LABEL["fence"])
        step, gap, tone = 1.1, 0.06, scale(paint, 0.72)
    else:
        # The ground shows through a railing, but every pixel is labelled fence.
        canvas.polygon(canvas.project(outline), canvas.faded(mix(paint, (112, 110, 104), 0.55), middle), LABEL["fence"])
        step, gap, tone = 0.55, 0.16, scale(paint, 0.7)
    low, high = 0.03 * height, 0.97 * height
    posts = np.arange(near + gap, far - 2 * gap, step)
    bars = [[(x, low, p), (x, high, p), (x, high, p + gap), (x, low, p + gap)] for p in posts]
    canvas.details(canvas.project(bars), canvas.faded(tone, middle))
    rail = canvas.project([(x, height * 0.94, near), (x, height * 0.94, far)])
    canvas.line(rail, canvas.pixels(0.07, middle), canvas.faded(tone, middle), LABEL["fence"])


def draw_clutter(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """A bin, a bollard or a box: things without a class, labelled void."""
    height, half = rng.uniform(0.6, 1.2), rng.uniform(0.1, 0.32)
    paint = jitter(rng, _pick(rng, ((60, 84, 66), (90, 92, 96), (150, 60, 44), (70, 72, 78))), 0.3)
    _box(canvas, (x - half, x + half), (0, height), (z, z + 2 * half), paint, LABEL["void"])


def _place(canvas: Canvas, x: float, z: float, size: float) -> tuple[Callable[[float, float], Point], float]:
    """A function from (right, up), in multiples of `size` metres from the foot at (x, z), to pixels.

    The second value is the number of pixels that `size` covers there.
    """
    column, row = canvas.point(x, 0, z)
    unit = canvas.pixels(size, z)
    return lambda right, up: (column + right * unit, row - up * unit), unit


def _pick(rng: np.random.Generator, colors: tuple[RGB, ...]) -> RGB:
    return colors[int(rng.integers(len(colors)))]


def _front(x: tuple[float, float], y: tuple[float, float], z: float) -> list[tuple[float, float, float]]:
    return [(x[0], y[0], z), (x[0], y[1], z), (x[1], y[1], z), (x[1], y[0], z)]


def _box(
    canvas: Canvas, x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], color: RGB, label: int
) -> None:
    """The visible faces of a box: top, one side, and the front."""
    if y[1] < canvas.eye:
        top = [(x[0], y[1], z[0]), (x[1], y[1], z[0]), (x[1], y[1], z[1]), (x[0], y[1], z[1])]
        canvas.face(top, scale(color, 1.12), label)
    # The visible side depends on where the bend of the street puts the box.
    left, right = canvas.point(x[0], 0, z[0])[0], canvas.point(x[1], 0, z[0])[0]
    side = x[0] if left > canvas.center else x[1] if right < canvas.center else None
    if side is not None:
        canvas.face(
            [(side, y[0], z[0]), (side, y[1], z[0]), (side, y[1], z[1]), (side, y[0], z[1])], scale(color, 0.74), label
        )
    canvas.face(_front(x, y, z[0]), color, label)


def _cabin(
    canvas: Canvas, x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], paint: RGB, taper: float
) -> None:
    """Windows and roof: narrower at the top than at the waist."""
    label = LABEL["car"]
    left, right = canvas.point(x[0], 0, z[0])[0], canvas.point(x[1], 0, z[0])[0]
    for visible, edge, inward in ((left > canvas.center, x[0], taper), (right < canvas.center, x[1], -taper)):
        if visible:
            lean = 0.25 * (z[1] - z[0]) if z[1] - z[0] > 2.2 else 0.0
            side = [
                (edge, y[0], z[0]),
                (edge + inward, y[1], z[0] + 0.5 * lean),
                (edge + inward, y[1], z[1] - lean),
                (edge, y[0], z[1]),
            ]
            canvas.face(side, scale(_GLASS, 0.85), label)
    back = [(x[0], y[0], z[0]), (x[0] + taper, y[1], z[0]), (x[1] - taper, y[1], z[0]), (x[1], y[0], z[0])]
    canvas.face(back, paint, label)
    low, high = y[0] + 0.08 * (y[1] - y[0]), y[0] + 0.82 * (y[1] - y[0])
    glass = [(x[0] + 0.09, low, z[0]), (x[0] + taper, high, z[0]), (x[1] - taper, high, z[0]), (x[1] - 0.09, low, z[0])]
    canvas.face(glass, _GLASS)


def _wheels(canvas: Canvas, x: float, z: float, half: float, depth: float, *, across: bool) -> None:
    label = LABEL["car"]
    if across:
        for wheel in (x - 0.62 * half, x + 0.62 * half):
            at, radius = canvas.point(wheel, 0.31, z), canvas.pixels(0.32, z)
            canvas.ellipse(at, (radius, radius), canvas.faded(_RUBBER, z), label)
        return
    for edge in (x - half + 0.02, x + half - 0.24):
        for distance in (z + 0.15, z + depth - 0.9):
            canvas.face(_front((edge, edge + 0.22), (0, 0.5), distance), _RUBBER, label)
