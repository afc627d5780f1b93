"""Differences with intervals: the images by a paired bootstrap, the seeds by their spread.

A score has two sources of chance that can be seen here: which images it was measured on, and with which seed the
network was trained. Bouthillier et al. 2021 ("Accounting for Variance in Machine Learning Benchmarks", MLSys,
arXiv:2103.03098) show that both matter, and that a comparison has to vary all that it can. Two usual ways fail with the
few seeds that there are: a hierarchical bootstrap, which draws the seeds with replacement, finds (k - 1) / k of their
variance, two thirds with three seeds, and takes quantiles as if they were many; a t-interval over the seeds alone says
nothing of other images. Here the variances are added, as in the analysis of several readers of the same cases
(Obuchowski, Rockette 1995; Gallas 2006):

    variance = variance over images of the mean of the runs + (variance over seeds / seeds) of either side

The first is that of a bootstrap in which all runs have the same draws (the images are the same, so the comparison is
paired), times n / (n - 1) for n images. The others are the sample variances of the runs, which are independent,
whatever their seeds are called. What a seed does to single images is in both parts, so the interval is rather too wide
than too narrow. The interval is that of Student's distribution with the degrees of freedom of Welch and Satterthwaite,
n - 1 of the images and k - 1 of the seeds of each side. It holds zero if and only if the probability is at least 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from pixelwise.metrics.bootstrap import class_iou, mean_iou, resampled_sums
from pixelwise.metrics.significance import t_quantile, two_sided_p

LEVEL = 0.95
"""Confidence of all intervals."""
_EQUAL = 1e-12
"""Scores that differ by less are equal: what is left is an error of rounding."""
_LEAST_DEFINED = 0.5
"""Share of the resamples that need a value: a class in fewer of them has no interval."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A value with its interval.

    Attributes:
        value: The value, as a fraction; None if it is undefined.
        interval: 95 % confidence interval; None if there is too little to derive one from.
        p: Probability of so large a value if the true one were 0; None without an interval.
        adjusted: The same, adjusted by Holm's method for the number of values that are tested together.
    """

    value: float | None
    interval: tuple[float, float] | None = None
    p: float | None = None
    adjusted: float | None = None

    @property
    def separated(self) -> bool:
        """Whether the value is told from 0, after the adjustment."""
        return self.adjusted is not None and self.adjusted < 1 - LEVEL


class Measured(NamedTuple):
    """The scores of the runs of one side: mIoU first, then the IoU of each class; NaN if undefined.

    Attributes:
        runs: (S, 1 + K), the scores of each run.
        drawn: (R, 1 + K), of each resample of the images the mean over the runs.
        units: (1 + K,), in how many of the units that are drawn (images or groups) something is labelled or predicted,
            and then in how many each class is labelled.
    """

    runs: np.ndarray
    drawn: np.ndarray
    units: np.ndarray


class Source(NamedTuple):
    """A part of a variance, and its degrees of freedom."""

    variance: float
    freedom: int


def measured(
    rows: Iterable[np.ndarray],
    absent: Literal["skip", "zero"],
    resamples: int,
    labelled: np.ndarray | None = None,
) -> Measured:
    """The scores of the runs of a side, as a whole and in every resample of the images.

    Args:
        rows: Per run (G, 2 K): intersections and unions of every group of images. May be a generator: one is in memory
            at a time.
        absent: Treatment of a class without IoU in the mean.
        resamples: Number of resamples.
        labelled: (K,), in how many groups each class is labelled; None for all in which something of it is. A class
            that one image has is not known better for the many in which it is predicted by mistake.
    """
    runs, drawn, present = [], [], np.zeros(0)
    for one in rows:
        classes = one.shape[1] // 2
        inside = one[:, classes:] > 0
        runs.append(_scores(one.sum(0, keepdims=True).astype(np.float64), absent)[0])
        # All groups are drawn from, empty ones too: which are empty depends on the run if its data is multi-label, and
        # draws from other groups would not be those of the other runs.
        drawn.append(_scores(resampled_sums(one, resamples=resamples), absent))
        units = np.array([inside.any(1).sum(), *inside.sum(0)])
        present = np.maximum(present, units) if present.size else units
    if labelled is not None:
        present[1:] = np.minimum(present[1:], labelled)
    return Measured(np.stack(runs), _mean(np.stack(drawn)), present)


def side_estimates(side: Measured) -> list[Estimate]:
    """The scores of a side, mIoU first: means over its runs, whose intervals cover images and seeds."""
    found = []
    for i, value in enumerate(_mean(side.runs)):
        one = _estimate(value, [_images(side.drawn[:, i], int(side.units[i])), *_seeds(side, i)])
        found.append(Estimate(value=one.value, interval=_within(one.interval)))  # nothing is tested
    return found


def over_seeds(side: Measured) -> list[tuple[float | None, tuple[float, float] | None]]:
    """Standard deviation of each score over the runs of a side, and the t-interval of its mean: of these images alone.

    None for a single run.
    """
    found: list[tuple[float | None, tuple[float, float] | None]] = []
    for i, value in enumerate(_mean(side.runs)):
        sources = _seeds(side, i)
        if not sources:
            found.append((None, None))
        else:
            deviation = math.sqrt(sources[0].variance * len(side.runs))
            found.append((deviation, _within(_estimate(value, sources).interval)))
    return found


def differences(first: Measured, second: Measured) -> list[Estimate]:
    """Differences of the scores, second minus first, mIoU first, not adjusted for their number.

    A difference that is the same in all resamples has an interval only if the images are enough for the sign test.
    """
    values = _mean(second.runs) - _mean(first.runs)
    drawn = second.drawn - first.drawn
    units = np.maximum(first.units, second.units)
    found = [
        _estimate(value, [_images(drawn[:, i], int(units[i])), *_seeds(first, i), *_seeds(second, i)])
        for i, value in enumerate(values)
    ]
    return [
        Estimate(value=one.value) if one.p is not None and one.p >= 1 - LEVEL and not _holds_zero(one) else one
        for one in found
    ]


def _holds_zero(one: Estimate) -> bool:
    return one.interval is not None and one.interval[0] <= 0 <= one.interval[1]


def _within(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    """The part of an interval that a score can have, 0..1."""
    return None if interval is None else (max(0.0, interval[0]), min(1.0, interval[1]))


def _scores(sums: np.ndarray, absent: Literal["skip", "zero"]) -> np.ndarray:
    return np.concatenate([mean_iou(sums, absent)[:, None], class_iou(sums)], axis=1)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis of the values that are not NaN; NaN where all are."""
    defined = ~np.isnan(values)
    number = defined.sum(0)
    total = np.where(defined, values, 0.0).sum(0)
    return np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)


def _images(drawn: np.ndarray, units: int) -> Source | None:
    """The part of the images; None if too few of them hold something."""
    known = drawn[~np.isnan(drawn)]
    if units < 2 or known.size < _LEAST_DEFINED * drawn.size:
        return None
    return Source(float(known.var(ddof=1)) * units / (units - 1), units - 1)


def _seeds(side: Measured, place: int) -> list[Source]:
    """The part of a side's seeds; none if it is a single run."""
    values = side.runs[:, place]
    values = values[~np.isnan(values)]
    return [] if len(values) < 2 else [Source(float(values.var(ddof=1)) / len(values), len(values) - 1)]


def _estimate(value: float, sources: Sequence[Source | None]) -> Estimate:
    value = float(value)  # not NumPy's, which JSON does not know
    if math.isnan(value):
        return Estimate(value=None)
    known = [one for one in sources if one is not None]
    if len(known) < len(sources):
        return Estimate(value=value)
    variance = math.fsum(one.variance for one in known)
    if variance <= _EQUAL**2:
        # Nothing varies: whatever is drawn, the value is this one. That n differences have one sign has the probability
        # 2^(1 - n) if either sign is as likely.
        end, p = (value, 0.5 ** known[0].freedom) if abs(value) > _EQUAL else (0.0, 1.0)
        return Estimate(value=value, interval=(end, end), p=p)
    freedom = variance**2 / math.fsum(one.variance**2 / one.freedom for one in known)
    error = math.sqrt(variance)
    reach = t_quantile(LEVEL, freedom) * error
    p = two_sided_p(value / error, freedom)
    return Estimate(value=value, interval=(value - reach, value + reach), p=p)
