import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.prediction.labelling.ordering import Place, ordered

NONE = np.zeros((0, 1))


def test_the_most_unsure_comes_first_and_its_like_last():
    # Root mean square distance of 0, 0 and 3 is 2: the variance is 2.
    found = ordered([0.5, 0.4, 0.2], np.array([[0.0], [0.0], [3.0]]), NONE)
    assert found == [Place(0, 0.5), Place(2, 0.2 * 1.5, 1.5, 0), Place(1, 0.0, 0.0, 0)]


def test_corrected_images_count_as_seen():
    found = ordered([0.5, 0.4], np.array([[0.0], [4.0]]), np.array([[0.0]]))
    assert [place.image for place in found] == [1, 0]
    assert found[0].nearest == 2  # the corrected one


def test_images_that_look_alike_are_in_the_order_of_their_uncertainty():
    found = ordered([0.1, 0.3, 0.2, 0.3], np.ones((4, 2)), np.zeros((0, 2)))
    assert [place.image for place in found] == [1, 3, 2, 0]


def test_after_the_first_places_uncertainty_decides_alone():
    found = ordered([0.5, 0.1, 0.2, 0.3], np.array([[0.0], [9.0], [0.1], [0.2]]), NONE, places=2)
    assert [(place.image, place.nearest) for place in found] == [(0, None), (1, 0), (3, None), (2, None)]


def test_nothing_has_no_order():
    assert ordered([], NONE, NONE) == []


points = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12)


@pytest.mark.heavy
@given(points, st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=3))
def test_every_place_has_the_highest_gain_of_those_left(rows, corrected):
    values = [row[0] / 10 for row in rows]
    features = np.array([row[1:] for row in rows], float)
    seen = np.array(corrected, float).reshape(-1, 2)
    found = ordered(values, features, seen)
    assert sorted(place.image for place in found) == list(range(len(rows)))
    everything = [*features, *seen]
    squares = [((one - other) ** 2).sum() for one in everything for other in everything]
    typical = np.sqrt(np.mean(squares)) or 1.0
    before = list(seen)
    for number, place in enumerate(found):
        gains = {}
        for other in found[number:]:
            near = [np.linalg.norm(features[other.image] - one) / typical for one in before]
            gains[other.image] = values[other.image] * (min(near) if near else 1.0)
        assert np.isclose(gains[place.image], max(gains.values()), atol=1e-9)
        assert np.isclose(place.score, gains[place.image], atol=1e-9)
        before.append(features[place.image])
