import numpy as np
import pytest

from pixelwise.datasets.town.weather import Side, draw_side, draw_weather


@pytest.mark.parametrize(
    ("near", "far", "is_open"), [(5, 9, False), (5, 11, True), (12, 14, True), (17, 30, True), (18, 30, False)]
)
def test_a_stretch_is_open_where_it_touches_the_side_street(near: float, far: float, is_open: bool):
    assert Side(1, 4, 3, "city", (10, 18)).is_open(near, far) == is_open


def test_a_side_without_a_side_street_is_closed():
    side = Side(-1, 4, 2.5, "park", None)
    assert not side.is_open(0, 1000)
    assert side.edge == 6.5


def test_weather_stays_within_its_bounds():
    for seed in range(200):
        weather = draw_weather(np.random.default_rng(seed))
        # Fog: 34 m * 0.7; a clear day: 170 m * 1.4.
        assert 34 * 0.7 <= weather.visibility <= 170 * 1.4
        assert 0.05 * 0.6 <= weather.shadow <= 0.55 * 1.1
        assert 2 <= weather.noise <= 5 + 2.5
        assert 0 <= weather.cloud <= 0.9
        # Exposure 0.78 to 1.18, times the warmest and the darkest light.
        assert all(0.78 * 0.66 <= gain <= 1.18 * 1.08 for gain in weather.gain)


def test_sides_differ_and_stay_within_their_bounds():
    sides = [draw_side(np.random.default_rng(seed), 1, 4.0) for seed in range(200)]
    assert {side.kind for side in sides} == {"city", "houses", "park"}
    assert all(side.kerb == 4.0 and 2 <= side.walk <= 5.2 for side in sides)
    crossings = [side.crossing for side in sides if side.crossing]
    assert 40 < len(crossings) < 120
    assert all(9 <= near <= 40 and 6 <= far - near <= 10 for near, far in crossings)


def test_the_same_generator_gives_the_same_weather():
    first, second = (draw_weather(np.random.default_rng(7)) for _ in range(2))
    assert first == second
