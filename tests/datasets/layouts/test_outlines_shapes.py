import numpy as np
import pytest

from pixelwise.datasets.layouts.outlines import Shape, ellipse, rectangle, turned_rectangle


def drawn(shape: Shape, height: int = 6, width: int = 8) -> list[str]:
    return ["".join(".#"[int(value)] for value in row) for row in shape.pixels(height, width)]


def test_a_turn_about_the_centre_exchanges_width_and_height():
    assert drawn(turned_rectangle("x", (4, 3), (-2, -1, 2, 1), 90)) == drawn(rectangle("x", 3, 1, 5, 5))
    assert drawn(turned_rectangle("x", (4, 3), (-2, -1, 2, 1), 0)) == drawn(rectangle("x", 2, 2, 6, 4))


def test_a_turn_about_a_corner_goes_clockwise():
    assert drawn(turned_rectangle("x", (4, 1), (0, 0, 3, 2), 90)) == drawn(rectangle("x", 2, 1, 4, 4))


def test_a_circle_covers_the_pixels_whose_centres_it_holds():
    assert drawn(ellipse("x", 2, 2, 1.6, 1.6), 4, 4) == [".##.", "####", "####", ".##."]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, -90, 360])
def test_a_quarter_turn_exchanges_the_radii(degrees: float):
    across = degrees % 180 == 0
    assert drawn(ellipse("x", 4, 3, 3, 1.2, degrees)) == drawn(ellipse("x", 4, 3, *((3, 1.2) if across else (1.2, 3))))


def test_an_eighth_of_a_turn_goes_clockwise():
    pixels = ellipse("x", 20, 20, 15, 3, 45).pixels(40, 40)
    rows, columns = np.nonzero(pixels)
    # Rows count downwards, so clockwise is from the upper left to the lower right.
    assert np.corrcoef(rows, columns)[0, 1] > 0.9
    assert np.array_equal(pixels, pixels.T)


@pytest.mark.parametrize("degrees", [float("nan"), float("inf")])
def test_a_rotation_that_is_not_finite_is_refused(degrees: float):
    with pytest.raises(ValueError, match="rectangle"):
        turned_rectangle("x", (4, 3), (-2, -1, 2, 1), degrees)
    with pytest.raises(ValueError, match="ellipse"):
        ellipse("x", 4, 3, 2, 1, degrees)


def test_radii_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="ellipse"):
        ellipse("x", 4, 3, float("inf"), 1).pixels(6, 8)
