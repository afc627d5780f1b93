import math

from hypothesis import given
from hypothesis import strategies as st

from pixelwise.pages.live.thinning import Curve, Means, Picks


def means(values: list[float], most: int) -> Curve:
    curve = Means(2, most)
    for step, value in enumerate(values, 1):
        curve.add((step, value))
    return curve.curve()


def test_few_values_are_points():
    assert means([5.0, 7.0], 4) == Curve(1, 2, ((1, 5), (2, 7)))


def test_more_values_are_means_of_neighbours():
    assert means([1.0, 3.0, 5.0, 7.0, 2.0], 4) == Curve(2, 2, ((1.5, 2), (3.5, 6), (5, 2)))
    assert means([1.0, 3.0, 5.0, 7.0, 2.0, 4.0], 4) == Curve(2, 3, ((1.5, 2), (3.5, 6), (5.5, 3)))


def test_values_that_are_not_finite_are_left_out():
    assert means([1.0, math.nan, math.inf, math.nan, 3.0], 4) == Curve(2, 2, ((1.5, 1), (3.5, None), (5, 3)))


@given(st.lists(st.floats(-1e6, 1e6), max_size=200))
def test_points_are_bounded_and_weigh_every_value_once(values: list[float]):
    found = means(values, 8)
    assert len(found.points) <= 8
    assert found.size == next(size for size in (1, 2, 4, 8, 16, 32) if -(-len(values) // size) <= 8)
    for number, point in enumerate(found.points):
        group = values[number * found.size : (number + 1) * found.size]
        assert math.isclose(point[1], sum(group) / len(group), rel_tol=1e-4, abs_tol=1e-3)


@given(st.integers(0, 100))
def test_every_second_fourth_or_eighth_point_and_the_last_are_picked(number: int):
    picks = Picks(8)
    for one in range(number):
        picks.add((one,))
    found = picks.curve()
    expected = [*range(0, number, found.size)]
    assert len(expected) <= 8
    assert found.whole == len(expected)
    if expected and expected[-1] != number - 1:
        expected.append(number - 1)
    assert found.points == tuple((one,) for one in expected)
