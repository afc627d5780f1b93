"""Bootstrap interval of the mean IoU over images: its uncertainty from the choice of images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from pixelwise.metrics.metric import Accumulator, Metric, Task, Value, register
from pixelwise.metrics.poisson import PoissonSums

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
    """Confidence interval of the mean IoU of a split (percentiles of a bootstrap over its images).

    Each resample draws as many images as the split has, with replacement, and adds up their counts as for the
    score of the split. Of more than `MOST_DRAWN` images, each counts with a Poisson-distributed weight of mean 1
    instead, which needs no memory for the draws. The interval is the uncertainty from the choice of images, not from
    training seeds.
    Images of one video are similar, so for them the interval is too narrow.

    Args:
        intersections: (N, K) integers, TP per image and class.
        unions: (N, K) integers, TP + FP + FN per image and class.
        absent: Treatment of a class without IoU in the mean: left out (`skip`) or counted as 0 (`zero`).
        resamples: Number of bootstrap resamples.
        level: Share of the resamples inside the interval, 0..1.
        seed: Seed of the resampling; the same seed gives the same interval.

    Returns:
        Lower and upper end, 0..1; None if fewer than two images contain a class.
    """
    useful = unions.sum(1) > 0
    count, classes = int(useful.sum()), unions.shape[1]
    if count < 2:
        return None
    resampled = _weighted_sums if count > MOST_DRAWN else _drawn_sums
    means = []
    for sums in resampled(intersections, unions, useful, resamples, seed):
        above, below = sums[:, :classes], sums[:, classes:]
        iou = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
        divisor = (below > 0).sum(1) if absent == "skip" else classes
        means.append(iou.sum(1) / divisor)
    outside = 100 * (1 - level) / 2
    lower, upper = np.percentile(np.concatenate(means), [outside, 100 - outside])
    return float(lower), float(upper)


def _drawn_sums(
    intersections: np.ndarray, unions: np.ndarray, useful: np.ndarray, resamples: int, seed: int
) -> Iterator[np.ndarray]:
    """Sums over images drawn with replacement: (some resamples, 2 K)."""
    # Integers below 2^53 are exact in float64, so the interval does not depend on the number of threads.
    parts = np.concatenate([intersections[useful], unions[useful]], axis=1).astype(np.float64)
    count = len(parts)
    random = np.random.default_rng(seed)
    for start in range(0, resamples, _CHUNK):
        rows = min(_CHUNK, resamples - start)
        drawn = random.integers(0, count, (rows, count)) + count * np.arange(rows)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        yield weights @ parts


def _weighted_sums(
    intersections: np.ndarray, unions: np.ndarray, useful: np.ndarray, resamples: int, seed: int
) -> Iterator[np.ndarray]:
    """Sums over images with Poisson weights: (resamples, 2 K)."""
    rows = np.flatnonzero(useful)
    found = PoissonSums(2 * unions.shape[1], resamples, seed)
    for start in range(0, len(rows), _IMAGES):
        some = rows[start : start + _IMAGES]
        found.add(np.concatenate([intersections[some], unions[some]], axis=1), start)
    yield found.sums


class IntervalAccumulator(Accumulator):
    """Stores the counts of every image by its position, so that the parts of a split may be merged in any order."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.images: dict[int, np.ndarray] = {}

    def update(self, image: ScoredImage) -> None:
        """Store the correct pixels and the union of each class in one image."""
        self.images[image.index] = np.stack([image.totals.right, image.totals.unions])

    def merge(self, other: Self) -> None:
        """Add the images of another part."""
        self.images |= other.images

    def compute(self) -> Value:
        """The interval of the mean IoU; None if fewer than two images contain a class."""
        if not self.images:
            return Value()
        counts = np.stack([self.images[index] for index in sorted(self.images)])
        return Value(interval=miou_interval(counts[:, 0], counts[:, 1], self.task.absent))


register(
    Metric(
        name="miou_interval",
        title="mIoU 95 % over images",
        summary="95 % bootstrap interval of the mean IoU: uncertainty from the choice of images, not from training "
        "seeds.",
        accumulator=IntervalAccumulator,
        needs="counts",
        default=True,
        groups=False,
    )
)
