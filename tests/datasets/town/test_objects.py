from collections.abc import Callable

import numpy as np
import pytest

from pixelwise.datasets.town import objects
from pixelwise.datasets.town.canvas import LABEL, Camera, Canvas

VOID = LABEL["void"]


def drawn(draw: Callable[[Canvas, np.random.Generator], None], seed: int = 0) -> Canvas:
    """An empty canvas with one object; nothing but the object is painted."""
    canvas = Canvas((120, 160), Camera(50, 80, 150, 1.5), haze=(90, 90, 90), visibility=80)
    draw(canvas, np.random.default_rng(seed))
    return canvas


CASES = {
    "car": (lambda c, r: objects.draw_car(c, r, 0.5, 6), {"car"}),
    "car_across": (lambda c, r: objects.draw_car(c, r, 0, 8, across=True), {"car"}),
    "person": (lambda c, r: objects.draw_person(c, r, 0, 6), {"pedestrian"}),
    "bicyclist": (lambda c, r: objects.draw_bicyclist(c, r, 0, 6), {"bicyclist"}),
    "tree": (lambda c, r: objects.draw_tree(c, r, 0, 12, leaves=(70, 100, 50), height=6), {"tree"}),
    "hedge": (lambda c, r: objects.draw_hedge(c, r, 0, 6, leaves=(70, 100, 50)), {"tree"}),
    "lamp": (lambda c, r: objects.draw_lamp(c, r, 1, 12), {"pole"}),
    "sign": (lambda c, r: objects.draw_sign(c, r, 0, 8), {"sign_symbol", "pole"}),
    "fence": (lambda c, r: objects.draw_fence(c, r, 2, 5, 12, height=1.2), {"fence"}),
}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", CASES)
def test_an_object_carries_its_labels_and_no_others(name: str, seed: int):
    draw, expected = CASES[name]
    canvas = drawn(draw, seed)
    assert set(np.unique(canvas.labels).tolist()) - {VOID} == {LABEL[label] for label in expected}


@pytest.mark.parametrize("name", [name for name in CASES if name != "bicyclist"])
def test_every_painted_pixel_of_an_object_is_labelled(name: str):
    canvas = drawn(CASES[name][0])
    assert not (canvas.image.any(axis=2) & (canvas.labels == VOID)).any()


def test_clutter_has_no_class():
    canvas = drawn(lambda c, r: objects.draw_clutter(c, r, 0, 5))
    assert canvas.image.any()
    assert (canvas.labels == VOID).all()


def test_an_object_twice_as_far_covers_about_a_quarter_of_the_pixels():
    near, far = (
        (drawn(lambda c, r, z=z: objects.draw_person(c, r, 0, z)).labels == LABEL["pedestrian"]).sum() for z in (5, 10)
    )
    assert 2.5 < near / far < 5.5
