import math

from pixelwise.pages.pareto import HEIGHT, LEFT, WIDTH, Point, even_ticks, front_of, plot_of, ticks_of_powers

POINTS = [
    Point("cheap", "runs/cheap", 1, 0.5),
    Point("dear", "runs/dear", 100, 0.7),
    Point("beaten", "runs/beaten", 100, 0.6),
    Point("middle", "runs/middle", 10, 0.7),
    Point("unknown", "runs/unknown", math.nan, 0.9),
]


def test_the_front_holds_what_no_other_beats():
    # `dear` costs more than `middle` and is no better.
    assert front_of(POINTS[:4]) == ["cheap", "middle"]


def test_points_lie_where_their_values_are():
    plot = plot_of(POINTS, "GMACs")
    assert plot is not None
    dots = {dot.id: dot for dot in plot.dots}
    assert set(dots) == {"cheap", "dear", "beaten", "middle"}
    # Equal factors are equal distances; equal scores are equally high, and greater ones higher.
    assert math.isclose(dots["middle"].x - dots["cheap"].x, dots["dear"].x - dots["middle"].x, abs_tol=0.11)
    assert dots["middle"].y == dots["dear"].y < dots["beaten"].y < dots["cheap"].y
    assert all(LEFT < dot.x < WIDTH and 0 < dot.y < HEIGHT for dot in plot.dots)
    assert plot.front == f"{dots['cheap'].x},{dots['cheap'].y} {dots['middle'].x},{dots['middle'].y}"
    assert dots["cheap"].title == "runs/cheap: 50.00 % mIoU, 1 GMACs"


def test_a_single_value_is_no_plot():
    assert plot_of(POINTS[3:], "GMACs") is None


def test_equal_results_have_a_plot():
    plot = plot_of([Point("a", "a", 3, 0.5), Point("b", "b", 3, 0.5)], "GMACs")
    assert plot is not None
    assert len(plot.up) > 1


def test_ticks():
    assert [text for _, text in ticks_of_powers(0, 1)] == ["1", "2", "3", "5", "7", "10"]
    assert [text for _, text in ticks_of_powers(0, 5)] == ["1", "10", "100", "1000", "10000", "100000"]
    assert even_ticks(0.49, 0.72) == [0.5, 0.55, 0.6, 0.65, 0.7]
