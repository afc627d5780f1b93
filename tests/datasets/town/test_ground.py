import numpy as np
import pytest

from pixelwise.datasets.town.canvas import LABEL, NEAREST, Camera, Canvas
from pixelwise.datasets.town.ground import FARTHEST, draw_ground, draw_shadows, strip
from pixelwise.datasets.town.weather import Side, draw_weather

CITY = (Side(-1, 4.0, 3.0, "city", None), Side(1, 4.0, 3.0, "city", None))


def ground(sides: tuple[Side, Side] = CITY, seed: int = 0) -> Canvas:
    canvas = Canvas((120, 160), Camera(horizon=40, center=80, focal=100, eye=1.5), haze=(90, 90, 90), visibility=500)
    draw_ground(canvas, np.random.default_rng(seed), sides)
    return canvas


def at(canvas: Canvas, x: float, z: float) -> int:
    """The label where a point on the ground is seen."""
    column, row = canvas.point(x, 0, z)
    return int(canvas.labels[int(row), int(column)])


def test_a_strip_runs_from_near_to_far_and_back():
    outline = strip(2, 3, 5, 20)
    assert outline[:, 1].tolist() == [0] * len(outline)
    half = len(outline) // 2
    assert set(outline[:half, 0]) == {2}
    assert set(outline[half:, 0]) == {3}
    # Between 5 and 20 there are the distances 5.5, 8, 11 and 15.
    assert outline[:half, 2].tolist() == [5, 5.5, 8, 11, 15, 20]
    assert outline[half:, 2].tolist() == [20, 15, 11, 8, 5.5, 5]
    assert (strip(0, 1)[:, 2].min(), strip(0, 1)[:, 2].max()) == (NEAREST, FARTHEST)


@pytest.mark.parametrize("seed", range(3))
def test_the_road_lies_between_the_kerbs_and_the_pavement_beside_it(seed: int):
    canvas = ground(seed=seed)
    for z in (6, 9, 12):
        assert at(canvas, 0, z) == at(canvas, 3.5, z) == at(canvas, -3.5, z) == LABEL["road"]
        assert at(canvas, 5.5, z + 4) == at(canvas, -5.5, z + 4) == LABEL["pavement"]


def test_nothing_flat_is_above_the_horizon():
    assert (ground().labels[:40] == LABEL["void"]).all()


def test_a_side_street_interrupts_the_pavement():
    sides = (CITY[0], Side(1, 4.0, 3.0, "city", (10.0, 18.0)))
    canvas = ground(sides)
    assert at(canvas, 5.5, 14) == LABEL["road"]
    assert at(canvas, 5.5, 8) == LABEL["pavement"]
    assert at(canvas, -5.5, 14) == LABEL["pavement"]


def test_grass_beside_a_park_has_no_class():
    sides = (CITY[0], Side(1, 4.0, 3.0, "park", None))
    assert at(ground(sides), 10, 15) == LABEL["void"]


def test_shadows_darken_the_picture_below_the_horizon_and_change_no_label():
    rng = np.random.default_rng(1)
    canvas = ground()
    canvas.image[:] = 100
    labels = canvas.labels.copy()
    weather = draw_weather(rng)
    while weather.shadow < 0.3:
        weather = draw_weather(rng)
    draw_shadows(canvas, rng, weather, CITY)
    assert np.array_equal(canvas.labels, labels)
    assert (canvas.image <= 100).all()
    assert canvas.image[42:].min() < 80
    assert (canvas.image[:36] == 100).all()


def test_without_light_there_are_no_shadows():
    from dataclasses import replace

    canvas = ground()
    before = canvas.image.copy()
    rng = np.random.default_rng(0)
    draw_shadows(canvas, rng, replace(draw_weather(rng), shadow=0.0), CITY)
    assert np.array_equal(canvas.image, before)
