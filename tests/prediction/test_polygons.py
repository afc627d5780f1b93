import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pixelwise.prediction.polygons import Polygon, polygons_of


def corners(ring: np.ndarray) -> set[tuple[int, int]]:
    return {(x, y) for x, y in ring.tolist()}


def mask(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows], np.uint8)


def filled(polygons: list[Polygon], shape: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres lie within the polygons, by counting crossings of a ray to the right."""
    found = np.zeros(shape, int)
    for polygon in polygons:
        for ring in (polygon.outline, *polygon.holes):
            for (x, y), (_, to) in zip(ring.tolist(), np.roll(ring, -1, 0).tolist(), strict=True):
                # A vertical side at x is crossed by the rays of the pixels to its left, in the rows it spans.
                found[min(y, to) : max(y, to), :x] += 1
    return found % 2


def test_a_rectangle_has_four_corners_clockwise_and_the_area_of_its_pixels():
    (found,) = polygons_of(mask("....", ".##.", ".##.", ".##."))
    start = found.outline.tolist().index([1, 1])
    assert np.roll(found.outline, -start, 0).tolist() == [[1, 1], [3, 1], [3, 4], [1, 4]]
    assert found.area == 6
    assert found.holes == ()


def test_a_hole_is_a_ring_of_its_own_and_no_area():
    (found,) = polygons_of(mask("####", "#..#", "####"))
    assert corners(found.outline) == {(0, 0), (4, 0), (4, 3), (0, 3)}
    assert [corners(hole) for hole in found.holes] == [{(1, 1), (3, 1), (3, 2), (1, 2)}]
    assert found.area == 10


def test_objects_that_touch_at_a_corner_are_two_the_largest_first():
    found = polygons_of(mask("#..", ".##"))
    assert [polygon.area for polygon in found] == [2, 1]
    assert corners(found[1].outline) == {(0, 0), (1, 0), (1, 1), (0, 1)}


def test_a_ring_never_meets_itself():
    # The hole and the outside touch at a corner in the lower right.
    (found,) = polygons_of(mask("####", "#..#", "#.#.", "###."))
    for ring in (found.outline, *found.holes):
        assert len(corners(ring)) == len(ring)
    assert len(found.holes) == 1
    assert found.area == 11


def test_an_object_within_the_hole_of_another_is_one_of_its_own():
    found = polygons_of(mask("#####", "#...#", "#.#.#", "#...#", "#####"))
    assert [(polygon.area, len(polygon.holes)) for polygon in found] == [(16, 1), (1, 0)]


@pytest.mark.parametrize("shape", [(3, 4), (1, 1)])
def test_nothing_and_everything(shape):
    assert polygons_of(np.zeros(shape, np.uint8)) == []
    (whole,) = polygons_of(np.full(shape, 7, np.uint8))
    assert (whole.area, len(whole.outline)) == (shape[0] * shape[1], 4)


@pytest.mark.heavy
@given(arrays.arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_the_polygons_enclose_exactly_the_pixels(found):
    polygons = polygons_of(found)
    assert np.array_equal(filled(polygons, found.shape), found)
    assert sum(polygon.area for polygon in polygons) == found.sum()
    for polygon in polygons:
        for ring in (polygon.outline, *polygon.holes):
            assert len(corners(ring)) == len(ring)


def test_simplified_outlines_have_fewer_corners_and_differ_by_the_tolerance():
    rows, columns = np.mgrid[:60, :60]
    disc = (rows - 30) ** 2 + (columns - 30) ** 2 < 25**2
    (exact,), (rough,) = polygons_of(disc), polygons_of(disc, 1.5)
    assert len(rough.outline) < len(exact.outline) / 3
    assert abs(rough.area - exact.area) < 1.5 * 2 * np.pi * 25


def test_a_small_object_keeps_its_outline_and_loses_its_hole():
    (found,) = polygons_of(mask("###", "#.#", "###"), 5)
    assert len(found.outline) >= 3
    assert found.holes == ()
    with pytest.raises(ValueError, match="-1"):
        polygons_of(mask("#"), -1)
