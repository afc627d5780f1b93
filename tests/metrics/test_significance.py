import math

import pytest
from scipy import stats

from pixelwise.metrics.significance import holm, t_quantile, two_sided_p


@pytest.mark.parametrize("freedom", [0.5, 1, 1.7, 2, 5, 30, 500, 1e5])
def test_students_distribution_is_that_of_scipy(freedom: float):
    for t in (0, 1e-3, 0.3, 1, 2, 5, 40):
        assert two_sided_p(t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), rel=1e-7)
        assert two_sided_p(-t, freedom) == two_sided_p(t, freedom)
    for level in (0.5, 0.9, 0.95, 0.999):
        assert t_quantile(level, freedom) == pytest.approx(stats.t.ppf((1 + level) / 2, freedom), rel=1e-7)


def test_the_ends():
    assert two_sided_p(math.inf, 3) == 0
    assert two_sided_p(1.959963984540054, math.inf) == pytest.approx(0.05)
    # One degree of freedom is Cauchy's distribution: half of it is within -1 and 1.
    assert t_quantile(0.5, 1) == pytest.approx(1)


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.03 are multiplied by 3, 2 and 1; none may be below one before it.
    assert holm([0.03, 0.01, None, 0.02]) == pytest.approx([0.04, 0.03, None, 0.04])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
