import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pixelwise.prediction.large.outlines import NOTHING, outlines_of
from pixelwise.prediction.polygons import Polygon, polygons_of

LABELS = arrays.arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(1, 9)), elements=st.integers(-1, 2))


def listed(found: list[tuple[int, Polygon]]) -> list[tuple[int, list[list[list[int]]]]]:
    return sorted((label, [ring.tolist() for ring in (one.outline, *one.holes)]) for label, one in found)


def in_bands(labels: np.ndarray, rows: int) -> list[tuple[int, Polygon]]:
    bands = (labels[first : first + rows] for first in range(0, len(labels), rows))
    return list(outlines_of(bands, labels.shape[1]))


def test_a_ring_over_three_bands_has_its_hole_and_what_lies_within_it():
    labels = np.full((5, 5), 7)
    labels[1:4, 1:4] = NOTHING
    labels[2, 2] = 7

    found = in_bands(labels, 2)

    # What closes first comes first.
    assert [label for label, _ in found] == [7, 7]
    assert found[0][1].outline.tolist() == [[2, 2], [3, 2], [3, 3], [2, 3]]
    assert found[1][1].outline.tolist() == [[0, 0], [5, 0], [5, 5], [0, 5]]
    assert [hole.tolist() for hole in found[1][1].holes] == [[[1, 1], [1, 4], [4, 4], [4, 1]]]
    assert [one.area for _, one in found] == [1, 16]


def test_pixels_that_touch_at_a_corner_are_one_object_if_they_are_joined_further_down():
    # The two pixels at the corner in the middle of the upper band are joined around the right, three rows later.
    labels = np.array([[1, 0, 0, 0], [0, 1, 1, 1], [0, 0, 0, 1]]) - 1
    apart = in_bands(labels, 1)
    joined = in_bands(np.array([[1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 1, 1]]) - 1, 1)

    assert sorted(one.area for _, one in apart) == [1, 4]
    ((_, one),) = joined
    assert one.area == 9
    # The notch above is open towards the top, and the hole touches it at a corner only.
    assert [hole.tolist() for hole in one.holes] == [[[2, 1], [2, 2], [3, 2], [3, 1]]]


@pytest.mark.heavy
@given(LABELS, st.integers(1, 12))
@example(np.zeros((3, 4), np.int32), 1)
@example(np.full((3, 4), NOTHING, np.int32), 2)
def test_the_outlines_are_those_of_the_whole_mask(labels, rows):
    found = in_bands(labels, rows)

    whole = [(label, polygon) for label in (0, 1, 2) for polygon in polygons_of(labels == label)]
    assert listed(found) == listed(whole)
    assert all(one.outline.dtype == np.int32 for _, one in found)
    for label in (0, 1, 2):
        assert sum(one.area for own, one in found if own == label) == (labels == label).sum()


@pytest.mark.heavy
def test_only_objects_that_may_go_on_are_kept():
    # Stripes of 50 objects per row: if they stayed, there would be 20,000 corners.
    from pixelwise.prediction.large.outlines import Outlines

    outlines, kept = Outlines(100), []
    for row in range(100):
        labels = np.where((np.arange(100) + row) % 2 == 0, 1, NOTHING)[None]
        list(outlines.add(labels))
        kept.append(sum(len(chunk) for chunks in outlines._open for chunk in chunks))

    assert max(kept) <= 100 * 4
