"""Bands along contours, borders, connected regions and the interval over images, as SciPy computes them."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references.drawn_masks import IGNORE, Drawn, drawn, images
from scipy import ndimage, stats

from pixelwise.evaluation.details import BORDER, near_border, regions_of
from pixelwise.metrics import boundary_counts, miou_interval, multilabel_boundary_counts
from pixelwise.recipes.class_sets.tables import IGNORE_BIT

EXAMPLES = settings(max_examples=30, deadline=None)
SQUARE = np.ones((3, 3), bool)


def band(mask: np.ndarray) -> np.ndarray:
    """The part of a mask that is eroded away; beyond the image is outside of the mask."""
    steps = max(1, round(0.02 * math.hypot(*mask.shape)))
    return mask & ~ndimage.binary_erosion(mask, SQUARE, iterations=steps, border_value=0)


def bands(labels: np.ndarray, found: np.ndarray) -> tuple[int, int]:
    """Intersection and union of the bands of two masks."""
    one, other = band(labels), band(found)
    return int((one & other).sum()), int((one | other).sum())


@EXAMPLES
@given(image=images())
def test_boundary_iou(image: Drawn):
    counts = boundary_counts(image.labels, image.prediction, image.classes)

    void = image.labels == IGNORE
    for k in range(image.classes):
        expected = bands(image.labels == k, (image.prediction == k) & ~void)
        assert (counts.intersections[k], counts.unions[k]) == expected
        iou = expected[0] / expected[1] if expected[1] else math.nan
        assert counts.iou[k] == pytest.approx(iou, abs=0, nan_ok=True)


@EXAMPLES
@given(image=images())
def test_boundary_iou_of_multi_label_data(image: Drawn):
    void = image.labels == IGNORE
    labels = np.where(void, IGNORE_BIT, image.labels.astype(np.int32))
    prediction = image.prediction.astype(np.int32)

    counts = multilabel_boundary_counts(labels, prediction, 3)

    for k in range(3):
        truth, found = labels >> k & 1 == 1, prediction >> k & 1 == 1
        expected = bands(truth & ~void, found & ~void)
        assert (counts.intersections[k], counts.unions[k]) == expected


@EXAMPLES
@given(image=images())
def test_pixels_near_a_border_between_classes(image: Drawn):
    within = np.ones((2 * BORDER + 1, 2 * BORDER + 1), bool)
    near = [ndimage.binary_dilation(image.labels == k, within) for k in range(image.classes)]
    assert np.array_equal(near_border(image.labels), np.sum(near, axis=0) > 1)


@EXAMPLES
@given(image=images())
def test_regions_labelled_found_and_invented(image: Drawn):
    expected: Counter[tuple[int, str]] = Counter()
    void = image.labels == IGNORE
    for k in range(image.classes):
        truth, found = image.labels == k, (image.prediction == k) & ~void
        for kinds, mask, other in ((("labelled", "found"), truth, found), (("", "invented"), found, truth)):
            ids, number = ndimage.label(mask, SQUARE)
            shares = ndimage.mean(other, ids, range(1, number + 1)) if number else []
            for share in np.atleast_1d(shares):
                half = share >= 0.5
                expected[k, kinds[0]] += 1
                expected[k, kinds[1]] += half if kinds[1] == "found" else not half

    ours: Counter[tuple[int, str]] = Counter()
    for row in regions_of(image.labels, image.prediction):
        for kind in ("labelled", "found", "invented"):
            ours[row.class_id, kind] += getattr(row, kind)
    assert {key: value for key, value in ours.items() if value} == {
        key: value for key, value in expected.items() if value and key[1]
    }


@pytest.mark.parametrize("absent", ["skip", "zero"])
@pytest.mark.parametrize("number", [12, 60])
def test_the_interval_over_images(number: int, absent: str):
    parts = [drawn(seed, classes=4, size=(24, 31)) for seed in range(1000, 1000 + number)]
    both = np.array([[np.sum((one.truth == k) & (one.found == k)) for k in range(4)] for one in parts])
    either = np.array([[np.sum((one.truth == k) | (one.found == k)) for k in range(4)] for one in parts])

    def mean(chosen: np.ndarray) -> float:
        tops, bottoms = both[chosen].sum(0), either[chosen].sum(0)
        iou = np.divide(tops, bottoms, out=np.full(4, np.nan), where=bottoms > 0)
        return float(np.nanmean(iou) if absent == "skip" else np.nansum(iou) / 4)

    useful = np.flatnonzero(either.sum(1))
    count = len(useful)
    further = 1 - 2 * stats.norm.cdf(-np.sqrt(count / (count - 1)) * stats.t.ppf(0.975, count - 1))
    expected = stats.bootstrap(
        (useful,), mean, n_resamples=4000, vectorized=False, method="percentile", confidence_level=further,
        random_state=np.random.default_rng(1),
    )  # fmt: skip
    found = miou_interval(both, either, absent, resamples=4000)  # type: ignore[arg-type]

    # The error of an end of 4000 resamples is about 0.05 standard deviations of the means; of two draws 0.07.
    allowed = 0.25 * expected.standard_error
    assert found == pytest.approx(tuple(expected.confidence_interval), abs=allowed)
    assert 0 < allowed < 0.03


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**20))
def test_one_image_alone_has_no_interval_and_neither_has_an_empty_one(seed: int):
    one = np.random.RandomState(seed).randint(1, 9, (1, 3))
    assert miou_interval(one, one + 1) is None
    assert miou_interval(np.concatenate([one, 0 * one]), np.concatenate([one, 0 * one])) is None
