"""What a difference is worth: Student's distribution, and Holm's correction for several tests.

NumPy and the standard library alone, since SciPy is no requirement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_ITERATIONS = 1000
_TINY = 1e-300


def two_sided_p(t: float, freedom: float) -> float:
    """Probability that |T| of Student's distribution is at least |t|, 0..1.

    It is the regularised incomplete beta function I_x(freedom / 2, 1 / 2) at x = freedom / (freedom + t^2) (Abramowitz,
    Stegun 1964, 26.7.1).

    Args:
        t: The statistic; an infinite one has the probability 0.
        freedom: Degrees of freedom, above 0; they need not be whole, and infinitely many are the normal distribution.
    """
    if math.isinf(freedom):
        return math.erfc(abs(t) / math.sqrt(2))
    if math.isinf(t):
        return 0.0
    square = t * t
    x, rest = freedom / (freedom + square), square / (freedom + square)
    return min(max(_beta(freedom / 2, 0.5, x, rest), 0.0), 1.0)


def t_quantile(level: float, freedom: float) -> float:
    """The number that |T| of Student's distribution stays below with a probability of `level`.

    Args:
        level: Probability, 0..1, such as 0.95.
        freedom: Degrees of freedom, above 0; they need not be whole.
    """
    low, high = 0.0, 1.0
    while two_sided_p(high, freedom) > 1 - level:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided_p(middle, freedom) > 1 - level else (low, middle)
    return (low + high) / 2


def holm(probabilities: Sequence[float | None]) -> list[float | None]:
    """Probabilities of several tests, adjusted so that the chance of any false finding stays below the level.

    Holm's step-down correction (Holm 1979, "A simple sequentially rejective multiple test procedure"), which holds
    whatever the dependence between the tests.

    Args:
        probabilities: One per test, 0..1; None where nothing was tested, which stays None and does not count.
    """
    tested = sorted((p, place) for place, p in enumerate(probabilities) if p is not None)
    adjusted: list[float | None] = [None] * len(probabilities)
    largest = 0.0
    for done, (p, place) in enumerate(tested):
        largest = max(largest, min(1.0, p * (len(tested) - done)))
        adjusted[place] = largest
    return adjusted


def _beta(a: float, b: float, x: float, rest: float) -> float:
    """The regularised incomplete beta function I_x(a, b); `rest` is 1 - x, without the loss of digits."""
    if x <= 0 or rest <= 0:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest))
    # The fraction converges fast on this side of the mean alone; I_x(a, b) = 1 - I_rest(b, a).
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, rest) / b


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method."""
    above, below = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = below
    for m in range(1, _ITERATIONS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            below = 1 / _away_from_zero(1 + term * below)
            above = _away_from_zero(1 + term / above)
            value *= above * below
        if abs(above * below - 1) < 1e-15:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
