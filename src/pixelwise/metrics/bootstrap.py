"""Bootstrap interval of the mean IoU over images or series of them: its uncertainty from the choice of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from pixelwise.metrics.metric import Accumulator, Metric, Task, Value, register
from pixelwise.metrics.poisson import PoissonSums
from pixelwise.metrics.significance import t_quantile, two_sided_p
from pixelwise.storage.series import LARGEST_DRAWN, series_of

if TYPE_CHECKING:
    from pixelwise.metrics.image import ScoredImage

RESAMPLES = 1000
LEVEL = 0.95
MOST_DRAWN = 100_000
"""Images up to which each resample draws as many as there are; of more, each image has a Poisson weight."""
_CHUNK = 50
_IMAGES = 4096


def miou_interval(
    intersections: np.ndarray,
    unions: np.ndarray,
    absent: Literal["skip", "zero"] = "skip",
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Confidence interval of the mean IoU of a split (expanded percentiles of a bootstrap over its images).

    Each resample draws as many images as the split has, with replacement, and adds up their counts as for the
    score of the split. Of more than `MOST_DRAWN` images, each counts with a Poisson-distributed weight of mean 1
    instead, which needs no memory for the draws. The interval is the uncertainty from the choice of images, not from
    training seeds.
    Images of one video are similar, so for them the interval is too narrow, unless a row is the sum of a video.

    The plain percentiles of a bootstrap of few images are too narrow: by the factor n / (n - 1) of the variance, and as
    those of a normal distribution are beside Student's. So further ones are taken, which for the mean of n numbers give
    the width of Student's interval; of 200 images or more they are nearly the same (Hesterberg 2015, "What Teachers
    Should Know About the Bootstrap", arXiv:1411.5279: expanded percentile intervals).

    Args:
        intersections: (N, K) integers, TP per image and class; or their sums over each series of images, see `summed`.
        unions: (N, K) integers, TP + FP + FN per image and class.
        absent: Treatment of a class without IoU in the mean: left out (`skip`) or counted as 0 (`zero`).
        resamples: Number of bootstrap resamples.
        level: Probability with which such intervals hold the score on all images of that kind, 0..1.
        seed: Seed of the resampling; the same seed gives the same interval.

    Returns:
        Lower and upper end, 0..1; None if fewer than two images contain a class.
    """
    useful = unions.sum(1) > 0
    number = int(np.count_nonzero(useful))
    if number < 2:
        return None
    rows = np.concatenate([intersections, unions], axis=1)
    means = mean_iou(resampled_sums(rows, useful, resamples=resamples, seed=seed), absent)
    # Below the distance of Student's quantile in a normal distribution, in percent.
    outside = 50 * two_sided_p(math.sqrt(number / (number - 1)) * t_quantile(level, number - 1), math.inf)
    lower, upper = np.percentile(means, [outside, 100 - outside])
    return float(lower), float(upper)


def summed(rows: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Sums over the rows of each group, (G, ...), the groups in the order in which they first occur.

    Args:
        rows: (N, ...) numbers, those of each image.
        groups: Name of the group of each image.
    """
    places = {name: place for place, name in enumerate(dict.fromkeys(groups))}
    if len(places) == len(rows):
        return rows
    sums = np.zeros((len(places), *rows.shape[1:]), rows.dtype)
    np.add.at(sums, [places[name] for name in groups], rows)
    return sums


def resampled_sums(
    rows: np.ndarray, useful: np.ndarray | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """Sums over images (or groups of them) that are drawn with replacement; this is the only bootstrap here.

    Which of them a resample holds depends on their number, `resamples` and `seed` alone: the sums of two networks with
    the same images in the same order are of the same draws, so their difference is that of a paired bootstrap.

    Args:
        rows: (N, C) numbers, those of each image. Sums of integers are exact while they are below 2^53.
        useful: (N,) bool, the images that are drawn from; None for all of them.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        float64 (resamples, C).
    """
    useful = np.ones(len(rows), bool) if useful is None else useful
    draw = _weighted_sums if np.count_nonzero(useful) > MOST_DRAWN else _drawn_sums
    return draw(rows, useful, resamples, seed)


def class_iou(sums: np.ndarray) -> np.ndarray:
    """IoU of each class, (R, K), from (R, 2 K) sums: intersections, then unions; NaN where there is no union."""
    above, below = np.split(sums, 2, axis=1)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def mean_iou(sums: np.ndarray, absent: Literal["skip", "zero"] = "skip") -> np.ndarray:
    """Mean IoU, (R,), from (R, 2 K) sums: intersections, then unions; NaN where no class has a union.

    Args:
        sums: Sums over images.
        absent: Treatment of a class without IoU in the mean: left out (`skip`) or counted as 0 (`zero`).
    """
    iou = class_iou(sums)
    defined = ~np.isnan(iou)
    divisor = defined.sum(1) if absent == "skip" else np.full(len(iou), iou.shape[1])
    total = np.where(defined, iou, 0.0).sum(1)
    return np.divide(total, divisor, out=np.full(len(iou), np.nan), where=defined.any(1))


def _drawn_sums(rows: np.ndarray, useful: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Sums over as many images as there are, drawn with replacement."""
    # Integers below 2^53 are exact in float64, so the interval does not depend on the number of threads.
    parts = rows[useful].astype(np.float64)
    count = len(parts)
    random = np.random.default_rng(seed)
    sums = np.empty((resamples, rows.shape[1]))
    for start in range(0, resamples, _CHUNK):
        some = min(_CHUNK, resamples - start)
        drawn = random.integers(0, count, (some, count)) + count * np.arange(some)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=some * count).reshape(some, count)
        sums[start : start + some] = weights @ parts
    return sums


def _weighted_sums(rows: np.ndarray, useful: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Sums over images with Poisson weights."""
    places = np.flatnonzero(useful)
    found = PoissonSums(rows.shape[1], resamples, seed)
    for start in range(0, len(places), _IMAGES):
        found.add(rows[places[start : start + _IMAGES]], start)
    return found.sums


class IntervalAccumulator(Accumulator):
    """Stores the counts of every image by its position, so that the parts of a split may be merged in any order.

    Images of one series, as their names show it, are alike. They are drawn as a whole where there are enough series.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.images: dict[int, np.ndarray] = {}
        self.ids: dict[int, str] = {}

    def update(self, image: ScoredImage) -> None:
        """Store the correct pixels and the union of each class in one image."""
        self.images[image.index] = np.stack([image.totals.right, image.totals.unions])
        self.ids[image.index] = image.id

    def merge(self, other: Self) -> None:
        """Add the images of another part."""
        self.images |= other.images
        self.ids |= other.ids

    def compute(self) -> Value:
        """The interval of the mean IoU; None if fewer than two images contain a class."""
        if not self.images:
            return Value()
        order = sorted(self.images)
        series = series_of([self.ids[index] for index in order], LARGEST_DRAWN)
        counts = summed(np.stack([self.images[index] for index in order]), [series[self.ids[index]] for index in order])
        return Value(interval=miou_interval(counts[:, 0], counts[:, 1], self.task.absent))


register(
    Metric(
        name="miou_interval",
        title="mIoU 95 % over images",
        summary="95 % bootstrap interval of the mean IoU: uncertainty from the choice of images, not from training "
        "seeds. Images of one series are drawn together.",
        accumulator=IntervalAccumulator,
        needs="counts",
        default=True,
        groups=False,
    )
)
