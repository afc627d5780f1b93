import numpy as np
import pytest

from pixelwise.datasets.town.canvas import LABEL, Camera, Canvas
from pixelwise.datasets.town.street import draw_street
from pixelwise.datasets.town.weather import draw_weather


def street(seed: int) -> Canvas:
    rng = np.random.default_rng(seed)
    weather = draw_weather(rng)
    canvas = Canvas((144, 192), Camera(66, 96, 180, 1.5), haze=weather.haze, visibility=100)
    draw_street(canvas, rng, weather)
    return canvas


@pytest.mark.parametrize("seed", range(4))
def test_the_road_is_below_the_horizon_and_the_sky_above(seed: int):
    labels = street(seed).labels
    assert not (labels[:64] == LABEL["road"]).any()
    assert not (labels[70:] == LABEL["sky"]).any()
    assert (labels[100:] == LABEL["road"]).mean() > 0.2


def test_every_class_occurs_and_small_ones_are_rare():
    counts = sum(np.bincount(street(seed).labels.ravel(), minlength=12) for seed in range(30))
    shares = counts / counts.sum()
    assert (shares > 0.001).all()
    for name in ("sign_symbol", "pedestrian", "bicyclist", "fence"):
        assert shares[LABEL[name]] < 0.04
    assert shares[LABEL["road"]] == shares.max()


def test_weather_differs_from_scene_to_scene():
    gains = {draw_weather(np.random.default_rng(seed)).gain for seed in range(20)}
    assert len(gains) == 20
