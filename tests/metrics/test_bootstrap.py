from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from pixelwise.metrics import METRICS, ScoredImage, Task, bootstrap, confusion_matrix, miou_interval
from pixelwise.metrics.bootstrap import summed


def test_images_that_are_all_alike_leave_nothing_to_chance():
    intersections, unions = np.tile([[3, 1]], (8, 1)), np.tile([[4, 2]], (8, 1))

    assert miou_interval(intersections, unions) == pytest.approx(((3 / 4 + 1 / 2) / 2,) * 2)


def test_two_images_give_the_three_possible_resamples():
    # One image is right, one wrong: both draws right (1/4), mixed (1/2), both wrong (1/4).
    lower, upper = miou_interval(np.array([[10], [0]]), np.array([[10], [10]])) or (-1, -1)

    assert (lower, upper) == (0.0, 1.0)
    assert miou_interval(np.array([[10], [0]]), np.array([[10], [10]]), level=0.1) == (0.5, 0.5)
    # By hand: Student's quantile of 0.4 with one degree of freedom is tan(0.2 pi) = 0.7265; times the root of 2 it is
    # 1.0275, and a normal distribution has 15.2 % below minus that, fewer than are both wrong.
    assert miou_interval(np.array([[10], [0]]), np.array([[10], [10]]), level=0.4) == (0.0, 1.0)


def test_a_class_missing_from_a_resample_is_left_out_or_zero():
    # The second class is in the first image only; images without it say 1 for the mean of the others.
    intersections, unions = np.array([[5, 5], [5, 0]]), np.array([[5, 5], [5, 0]])

    assert miou_interval(intersections, unions, "skip") == (1.0, 1.0)
    assert miou_interval(intersections, unions, "zero") == (0.5, 1.0)


def test_the_interval_has_the_width_of_the_normal_approximation():
    # 400 images of 1 pixel: the mean is a binomial share, whose standard error is 0.025.
    random = np.random.default_rng(1)
    hits = (random.random((400, 1)) < 0.5).astype(np.int64)

    lower, upper = miou_interval(hits, np.ones((400, 1), np.int64)) or (0, 0)

    assert lower < hits.mean() < upper
    assert upper - lower == pytest.approx(2 * 1.96 * 0.025, rel=0.1)


@pytest.mark.parametrize("number", [5, 10, 30])
def test_intervals_of_few_images_hold_the_truth_as_often_as_they_say(number: int):
    # 400 splits of images with a normally distributed share of right pixels, whose expected value is 0.5.
    random = np.random.default_rng(number)
    held = 0
    for _ in range(400):
        hits = np.clip(random.normal(500, 100, (number, 1)).round(), 0, 1000).astype(np.int64)
        low, high = miou_interval(hits, np.full((number, 1), 1000), seed=int(random.integers(2**31))) or (1.0, 0.0)
        held += low <= 0.5 <= high

    # Three standard deviations of 400 draws of 0.95 are 0.033. Plain percentiles held it in 82, 92 and 94 of 100.
    assert held / 400 == pytest.approx(0.95, abs=0.033)


def test_the_same_seed_gives_the_same_interval_and_another_one_another():
    random = np.random.default_rng(2)
    unions = random.integers(50, 90, (30, 4))
    intersections = random.integers(0, 50, (30, 4))

    assert miou_interval(intersections, unions) == miou_interval(intersections, unions)
    assert miou_interval(intersections, unions) != miou_interval(intersections, unions, seed=1)


def test_the_interval_of_a_split_of_usual_size_stays_as_it_was():
    random = np.random.default_rng(2)
    unions, intersections = random.integers(50, 90, (30, 4)), random.integers(0, 50, (30, 4))

    assert miou_interval(intersections, unions) == pytest.approx((0.2956415594696191, 0.3994192192145741), abs=1e-15)


def test_poisson_weights_agree_with_drawing(monkeypatch: pytest.MonkeyPatch):
    random = np.random.default_rng(5)
    unions = random.integers(1, 90, (300, 3)) * (random.random((300, 3)) < 0.6)
    intersections = (unions * random.random((300, 3))).astype(np.int64)
    resamples = 4000
    drawn = miou_interval(intersections, unions, resamples=resamples) or (0, 0)
    monkeypatch.setattr(bootstrap, "MOST_DRAWN", 200)
    weighted = miou_interval(intersections, unions, resamples=resamples) or (0, 0)

    assert weighted != drawn
    # The standard error of the 2.5 % percentile of a normal distribution, in standard deviations of the resamples.
    deviation = (drawn[1] - drawn[0]) / (2 * 1.96)
    error = math.sqrt(0.025 * 0.975 / resamples) / (math.exp(-(1.96**2) / 2) / math.sqrt(2 * math.pi))
    assert np.abs(np.subtract(weighted, drawn)).max() < 4 * math.sqrt(2) * error * deviation


def test_poisson_weights_leave_nothing_to_chance_if_all_images_are_alike(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bootstrap, "MOST_DRAWN", 10)
    intersections, unions = np.tile([[3, 1]], (20, 1)), np.tile([[4, 2]], (20, 1))

    assert miou_interval(intersections, unions) == pytest.approx(((3 / 4 + 1 / 2) / 2,) * 2)
    monkeypatch.setattr(bootstrap, "_IMAGES", 3)
    assert miou_interval(intersections, unions) == pytest.approx(((3 / 4 + 1 / 2) / 2,) * 2)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_images_with_a_class_have_no_interval(count):
    unions = np.zeros((3, 2), np.int64)
    unions[:count] = 4

    assert miou_interval(np.zeros((3, 2), np.int64), unions) is None


def test_the_metric_does_not_depend_on_the_order_of_the_images():
    random = np.random.default_rng(0)
    labels, predictions = (random.integers(0, 3, (9, 6, 7)).astype(np.uint8) for _ in range(2))
    task = Task(classes=("a", "b", "c"))

    def interval(order: Sequence[int]) -> tuple[float, float] | None:
        accumulator = METRICS.find("miou_interval").accumulator(task)
        for index in order:
            prediction = torch.from_numpy(predictions[index])
            accumulator.update(ScoredImage(str(index), labels[index], prediction, task, index=index))
        return accumulator.compute().interval

    matrices = [confusion_matrix(truth, found, 3).numpy() for truth, found in zip(labels, predictions, strict=True)]
    right = np.stack([matrix.diagonal() for matrix in matrices])
    unions = np.stack([matrix.sum(0) + matrix.sum(1) - matrix.diagonal() for matrix in matrices])
    assert interval(range(9)) == interval(range(8, -1, -1)) == miou_interval(right, unions)
    assert interval([3]) is None
    assert interval([]) is None


def interval_of(hits: dict[str, list[int]], order: Sequence[str] | None = None) -> tuple[float, float] | None:
    """The interval of images of one pixel of one class, or of the other: id -> whether the first pixels are right."""
    task = Task(classes=("a", "b"))
    accumulator = METRICS.find("miou_interval").accumulator(task)
    names = list(hits)
    for id in order or names:
        labels, found = np.zeros((1, len(hits[id])), np.uint8), torch.tensor([hits[id]], dtype=torch.uint8)
        accumulator.update(ScoredImage(id, labels, 1 - found, task, index=names.index(id)))
    return accumulator.compute().interval


def test_images_of_one_series_are_drawn_together_so_that_frames_of_a_video_do_not_narrow_the_interval():
    # 16 videos of 25 equal frames are no more than 16 images: with them, the interval is five times as wide.
    right = {f"drive{letter}": number < 8 for number, letter in enumerate("abcdefghijklmnop")}
    videos = {f"{name}_{frame:02d}": [int(hit)] for name, hit in right.items() for frame in range(25)}
    apart = {f"{name}{frame:02d}x": one for frame, (name, one) in enumerate(videos.items())}
    rows = np.array([[[25 * hit, 0], [25, 25 * (not hit)]] for hit in right.values()])

    together, single = interval_of(videos), interval_of(apart)

    assert together == miou_interval(rows[:, 0], rows[:, 1]) == interval_of(videos, sorted(videos, reverse=True))
    assert together is not None
    assert single is not None
    # The mean of the two classes is half the share of the right pixels, binomial with n = 16 or n = 400; SciPy's
    # t.ppf(0.975) is 2.1314 with 15 degrees of freedom.
    for (low, high), units, quantile in ((together, 16, 2.1314 * math.sqrt(16 / 15)), (single, 400, 1.96)):
        assert high - low == pytest.approx(2 * quantile * 0.5 * math.sqrt(0.25 / units), rel=0.12)


def test_few_series_are_not_drawn_as_a_whole():
    frames = {
        f"drive{letter}_{frame}": [(frame + place) % 2] for place, letter in enumerate("abc") for frame in range(9)
    }
    apart = {f"{name}x": one for name, one in frames.items()}

    assert interval_of(frames) == interval_of(apart) is not None


def test_rows_are_summed_by_group_in_the_order_of_their_first_image():
    rows = np.array([[[1, 2]], [[10, 20]], [[100, 200]], [[1000, 2000]]])

    assert summed(rows, ["b", "a", "b", "c"]).tolist() == [[[101, 202]], [[10, 20]], [[1000, 2000]]]
    assert summed(rows[:0], []).shape == (0, 1, 2)
