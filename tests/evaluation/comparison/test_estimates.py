import math
from typing import Any

import numpy as np
import pytest
from compared_runs import drawn, iou_of
from scipy import stats

from pixelwise.evaluation.comparison.estimates import (
    Measured,
    differences,
    measured,
    over_seeds,
    side_estimates,
)


def rows(matrices: np.ndarray) -> np.ndarray:
    """Intersections and unions of each image, counted once more."""
    right = np.einsum("nkk->nk", matrices)
    return np.concatenate([right, matrices.sum(1) + matrices.sum(2) - right], axis=1)


def sides(images: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.integers(1, 500, (images, 3))
    accuracy = np.array([0.8, 0.7, 0.6])
    return drawn(random, truth, accuracy), drawn(random, truth, accuracy + np.array([0.03, 0, 0.05]))


def test_values_are_differences_of_the_scores_of_all_images():
    first, second = sides(20)
    found = differences(measured([rows(first)], "skip", 100), measured([rows(second)], "skip", 100))
    expected = iou_of(second) - iou_of(first)
    assert [one.value for one in found] == pytest.approx([expected.mean(), *expected])


def test_the_error_is_that_of_scipys_paired_bootstrap():
    first, second = sides(30)
    found = differences(measured([rows(first)], "skip", 4000), measured([rows(second)], "skip", 4000))

    def statistic(places: np.ndarray) -> float:
        return float((iou_of(second[places]) - iou_of(first[places])).mean())

    other = stats.bootstrap((np.arange(30),), statistic, n_resamples=4000, vectorized=False, method="percentile", rng=1)
    low, high = found[0].interval or (0, 0)
    # Ours is wider by n / (n - 1) within the root, and has Student's quantile.
    error = (high - low) / 2 / stats.t.ppf(0.975, 29) / math.sqrt(30 / 29)
    assert error == pytest.approx(other.standard_error, rel=0.05)
    percentiles = other.confidence_interval
    assert (low, high) == pytest.approx((percentiles.low, percentiles.high), abs=0.25 * (high - low))


def test_the_probability_and_the_interval_agree():
    for seed in range(12):
        first, second = sides(15, seed)
        for one in differences(measured([rows(first)], "skip", 200), measured([rows(second)], "skip", 200)):
            assert one.interval is not None
            assert one.p is not None
            assert (one.p < 0.05) == (one.interval[0] > 0 or one.interval[1] < 0)


def made(runs: list[float], spread: float, units: int) -> Measured:
    """Runs with scores and resamples by hand, whose variance over images is spread^2."""
    resamples = np.mean(runs) + spread * np.array([-1.0, 1.0] * 50) * math.sqrt(99 / 100)
    return Measured(np.array(runs)[:, None], resamples[:, None], np.array([units]))


def test_seeds_alone_give_welchs_test():
    first, second = [0.50, 0.52, 0.55], [0.60, 0.61, 0.66, 0.59]
    found = differences(made(first, 0, 1000), made(second, 0, 1000))[0]
    welch: Any = stats.ttest_ind(second, first, equal_var=False)
    interval = welch.confidence_interval(0.95)
    # The resamples do not vary, so the images add nothing.
    assert found.p == pytest.approx(welch.pvalue, rel=1e-6)
    assert found.interval == pytest.approx((interval.low, interval.high), rel=1e-6)


def test_variances_of_images_and_seeds_are_added():
    runs = [0.50, 0.52, 0.57]
    side = made(runs, 0.02, 11)
    images, seeds = 0.02**2 * 11 / 10, np.var(runs, ddof=1) / 3
    freedom = (images + seeds) ** 2 / (images**2 / 10 + seeds**2 / 2)
    reach = stats.t.ppf(0.975, freedom) * math.sqrt(images + seeds)
    (found,) = side_estimates(side)
    assert found.interval == pytest.approx((np.mean(runs) - reach, np.mean(runs) + reach))
    ((deviation, interval),) = over_seeds(side)
    assert deviation == pytest.approx(np.std(runs, ddof=1))
    expected = stats.t.interval(0.95, 2, np.mean(runs), np.std(runs, ddof=1) / math.sqrt(3))
    assert interval == pytest.approx((max(0, expected[0]), min(1, expected[1])))
    assert over_seeds(made([0.5], 0.02, 11)) == [(None, None)]


def test_what_cannot_be_told_has_no_interval():
    # The second class is in one image, the third in none.
    matrices = np.zeros((3, 3, 3), np.int64)
    matrices[:, 0, 0] = 5
    matrices[0, 1, 1] = 5
    mean, first, second, third = side_estimates(measured([rows(matrices)], "skip", 100))
    assert first.interval == (1.0, 1.0)
    assert (second.value, second.interval) == (1.0, None)
    assert (third.value, third.interval) == (None, None)
    assert mean.value == 1.0
    zero = side_estimates(measured([rows(matrices)], "zero", 100))[0]
    assert zero.value == pytest.approx(2 / 3)


def test_the_same_weights_do_not_differ():
    first, _ = sides(10)
    for one in differences(measured([rows(first)], "skip", 100), measured([rows(first)], "skip", 100)):
        assert (one.value, one.interval, one.p) == (0.0, (0.0, 0.0), 1.0)


def test_all_runs_have_the_same_draws_whatever_they_predict():
    # Multi-label data: the first run finds nothing where nothing is labelled, the second one a pixel in each image.
    truth = np.repeat([[10, 12], [0, 0]], 15, axis=0)
    share = np.random.default_rng(0).integers(1, 10, (30, 1)) * (truth > 0)
    first = np.concatenate([share, np.maximum(truth, 0)], axis=1)
    second = first + np.array([0, 0, 1, 1])
    found = differences(measured([first], "skip", 4000), measured([second], "skip", 4000))[0]

    def statistic(places: np.ndarray) -> float:
        iou = [one[places].sum(0)[:2] / one[places].sum(0)[2:] for one in (first, second)]
        return float((iou[1] - iou[0]).mean())

    other = stats.bootstrap((np.arange(30),), statistic, n_resamples=4000, vectorized=False, method="percentile", rng=1)
    low, high = found.interval or (0, 0)
    error = (high - low) / 2 / stats.t.ppf(0.975, 29) / math.sqrt(30 / 29)
    assert error == pytest.approx(other.standard_error, rel=0.1)


@pytest.mark.parametrize(("images", "p"), [(2, None), (5, None), (6, 2**-5), (10, 2**-9)])
def test_a_difference_that_never_varies_needs_the_images_of_a_sign_test(images: int, p: float | None):
    # A class that one run finds everywhere, and the other nowhere; or three tenths of it against one tenth.
    for right in ((0, 10), (1, 3)):
        sides = [np.tile([one, 10], (images, 1)) for one in right]
        _, found = differences(*(measured([side], "skip", 100) for side in sides))
        assert found.value == pytest.approx((right[1] - right[0]) / 10)
        assert found.p == p
        assert (found.interval is None) == (p is None)


def test_a_class_is_known_as_well_as_the_images_that_have_it():
    # It is labelled in two images, and predicted by mistake in 38 others.
    nothing, found = (np.tile([0, 1], (40, 1)) for _ in range(2))
    nothing[:2], found[:2] = [0, 100], [100, 100]
    labelled = np.array([2])
    _, many = differences(*(measured([one], "skip", 500) for one in (nothing, found)))
    _, few = differences(*(measured([one], "skip", 500, labelled) for one in (nothing, found)))
    assert many.p is not None
    assert few.p is not None
    assert many.p < 0.05 < few.p
    one = [measured([side], "skip", 500, np.array([1])) for side in (nothing, found)]
    assert differences(*one)[1].interval is None


@pytest.mark.fuzz
@pytest.mark.parametrize(("images", "seeds", "spread"), [(40, 1, 0.0), (10, 1, 0.0), (40, 3, 0.02), (40, 2, 0.02)])
def test_intervals_hold_the_truth_as_often_as_they_say(images: int, seeds: int, spread: float):
    random = np.random.default_rng(1)
    accuracies = np.array([[0.8, 0.7, 0.6], [0.82, 0.7, 0.65]])
    many = np.random.default_rng(2).integers(0, 500, (20_000, 3))
    shifts = np.random.default_rng(3).normal(0, 1, 100) * spread if spread else [0.0]
    truth = [
        np.mean([iou_of(drawn(np.random.default_rng(4), many, one + shift)) for shift in shifts], axis=0)
        for one in accuracies
    ]
    expected = truth[1] - truth[0]
    expected = np.array([expected.mean(), *expected])
    held, repeats = np.zeros(4), 300
    for _ in range(repeats):
        labels, common = random.integers(0, 500, (images, 3)), random.normal(0, 0.05, (images, 3))
        found = []
        for one in accuracies:
            shares = [np.clip(one + common + spread * random.normal(), 0.05, 0.95) for _ in range(seeds)]
            found.append(measured([rows(drawn(random, labels, share)) for share in shares], "skip", 400))
        intervals = np.array([one.interval for one in differences(*found)])
        held += (intervals[:, 0] <= expected) & (expected <= intervals[:, 1])
    # Of 300 repetitions, 95 % +- 4 standard errors; with seeds they may be too wide.
    assert (held / repeats > 0.90).all()
    assert (held / repeats < (0.995 if seeds > 1 else 0.99)).all()
