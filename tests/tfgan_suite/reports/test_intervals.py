"""Student's intervals: against SciPy, and that they cover what they say."""

import math

import numpy as np
import pytest
from scipy import stats

from tfgan_suite.reports import intervals


@pytest.mark.parametrize("count", [2, 3, 5, 10, 31, 32, 60, 500])
def test_as_scipy_says(count):
    values = np.random.default_rng(count).normal(3, 2, count)
    found = intervals.of_mean(values)
    low, high = stats.t.interval(0.95, count - 1, values.mean(), stats.sem(values))
    assert (found.mean, found.low, found.high) == pytest.approx((values.mean(), low, high), rel=2e-4)
    assert found.count == count


def test_it_covers_what_it_says_with_three_seeds():
    """Two-sided: 95 % within the error of 4,000 draws; the normal quantile in its place would cover 81 %."""
    random = np.random.default_rng(0)
    found = [intervals.of_mean(random.normal(1.0, 1.0, 3)) for _ in range(4_000)]
    covered = np.mean([one.low <= 1.0 <= one.high for one in found])
    assert abs(covered - 0.95) < 0.012


def test_one_value_says_nothing_of_the_spread():
    found = intervals.of_mean([2.0])
    assert (found.mean, found.low, found.high, found.resolved) == (2.0, None, None, False)


def test_paired_ratios_do_not_see_what_both_have_in_common():
    common = np.array([1.0, 10.0, 100.0, 3.0])
    found = intervals.of_log_ratio(common * 2 * np.array([1.01, 0.99, 1.0, 1.0]), common)
    assert found.resolved and found.exponential().mean == pytest.approx(2, rel=1e-3)
    assert found.exponential().low == pytest.approx(math.exp(found.low))
    assert not intervals.of_log_ratio(common, common[::-1].copy()).resolved


@pytest.mark.parametrize("values, others", [([1.0, 2.0], [1.0]), ([1.0], [0.0]), ([-1.0], [1.0]), ([], [])])
def test_no_ratio_of_these(values, others):
    with pytest.raises(ValueError, match="pairs of positive values"):
        intervals.of_log_ratio(values, others)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_no_mean_of_these(values):
    with pytest.raises(ValueError, match="finite values"):
        intervals.of_mean(values)
