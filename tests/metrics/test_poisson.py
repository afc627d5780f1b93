import math

import numpy as np
import pytest

from pixelwise.metrics import poisson
from pixelwise.metrics.poisson import PoissonSums, poisson_weights


def test_weights_have_the_poisson_distribution():
    weights = poisson_weights(400, 1000)
    draws = weights.size
    for value in range(6):
        chance = math.exp(-1) / math.factorial(value)
        error = math.sqrt(chance * (1 - chance) / draws)
        assert abs((weights == value).mean() - chance) < 4 * error, value
    # The variance of a Poisson weight is its mean, and that of the mean over the images 1 / 400.
    assert weights.mean(axis=0).var() == pytest.approx(1 / 400, rel=0.2)
    assert np.corrcoef(weights[:-1].ravel(), weights[1:].ravel())[0, 1] == pytest.approx(0, abs=4 / math.sqrt(draws))


def test_a_number_has_the_weight_of_its_place_in_the_distribution(monkeypatch: pytest.MonkeyPatch):
    limit = 2**32 * math.exp(-1)
    chosen = [0, math.floor(limit), math.ceil(limit), round(2 * limit) - 1, round(2 * limit) + 1, 2**32 - 1, 7, 7]

    class Chosen:
        def __init__(self, *args: object) -> None:
            pass

        def advance(self, steps: int) -> "Chosen":
            return self

        def random_raw(self, words: int) -> np.ndarray:
            return np.array(chosen, "<u4").view("<u8").astype(np.uint64)

    monkeypatch.setattr(np.random, "Philox", Chosen)
    assert poisson_weights(1, 8).tolist() == [[0, 0, 1, 1, 2, 12, 0, 0]]


def test_the_weights_of_an_image_depend_on_its_position_alone():
    whole = poisson_weights(50, 30, seed=3)
    assert np.array_equal(poisson_weights(7, 30, position=20, seed=3), whole[20:27])
    assert not np.array_equal(poisson_weights(50, 30, seed=4), whole)
    assert len({row.tobytes() for row in whole}) == 50


def test_parts_may_be_added_in_any_order_and_merged(monkeypatch: pytest.MonkeyPatch):
    values = np.random.default_rng(0).integers(0, 10**6, (60, 4))
    whole = PoissonSums(4, 25, seed=1)
    whole.add(values)
    assert np.array_equal(whole.sums, poisson_weights(60, 25, seed=1).T.astype(np.int64) @ values)
    monkeypatch.setattr(poisson, "_TOGETHER", 7)
    first, second = PoissonSums(4, 25, seed=1), PoissonSums(4, 25, seed=1)
    second.add(values[40:], 40)
    first.add(values[11:40], 11)
    second.add(values[:11])
    second.merge(first)
    assert np.array_equal(second.sums, whole.sums)
