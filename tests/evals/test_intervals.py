"""Closed-form intervals against statsmodels, scipy and tables worked by hand."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from jaxtrunc.evals.intervals import (
    ONE_SIDED,
    covers_zero,
    linear_interval,
    mcnemar,
    paired_interval,
    ratio_interval,
    wilson,
)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (1, 10), (37, 120), (50, 50), (999, 2000)])
def test_wilson_is_scipys(hits, n):
    want = binomtest(hits, n).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson(hits / n, n), (want.low, want.high), atol=1e-12)


def test_wilson_of_nothing_is_undefined():
    assert np.isnan(wilson(0.0, 0)).all()


@pytest.mark.parametrize("cells", [(56, 70, 48, 80), (10, 10, 0, 20), (0, 5, 0, 9)])
def test_a_difference_is_newcombes(cells):
    a, n, b, m = cells
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    want = proportion.confint_proportions_2indep(a, n, b, m, method="newcomb", compare="diff")
    got = linear_interval(np.array([1.0, -1.0]), np.array([a / n, b / m]), np.array([n, m]))
    np.testing.assert_allclose(got, want, atol=1e-9)


def test_newcombes_own_example():
    """56/70 against 48/80 (Newcombe 1998, table II, method 10: 0.0524 to 0.3339)."""
    got = linear_interval(np.array([1.0, -1.0]), np.array([56 / 70, 48 / 80]), np.array([70, 80]))
    np.testing.assert_allclose(got, (0.0524, 0.3339), atol=5e-5)


def pairs(both, first, second, neither):
    table = [(1, 1)] * both + [(1, 0)] * first + [(0, 1)] * second + [(0, 0)] * neither
    return np.array(table, bool).reshape(-1, 2).T


def paired(table):
    first, second = pairs(*table)
    return paired_interval(np.ones(1), np.zeros(len(first), int), first, second)


def test_newcombes_own_paired_example():
    """36, 12, 2, 0 (Newcombe 1998, paired, table III, method 10: 0.0569 to 0.3404)."""
    np.testing.assert_allclose(paired((36, 12, 2, 0)), (0.0569, 0.3404), atol=5e-5)


def test_identical_answers_give_a_symmetric_interval():
    low, high = paired((43, 0, 0, 7))
    assert low == pytest.approx(-high) and 0 < high < 0.1


def test_without_correlation_the_limits_are_independent():
    low, high = paired((0, 50, 0, 0))
    assert low == pytest.approx(1 - math.hypot(1 - wilson(1.0, 50)[0], wilson(0.0, 50)[1])) and high == pytest.approx(1)


def test_a_one_sided_bound_is_nearer():
    first, second = pairs(40, 5, 3, 2)
    one_sided = paired_interval(np.ones(1), np.zeros(50, int), first, second, ONE_SIDED)
    assert one_sided[1] < paired((40, 5, 3, 2))[1]


def test_pairing_narrows():
    together = paired((80, 5, 3, 12))
    independent = linear_interval(np.array([1.0, -1.0]), np.array([0.85, 0.83]), np.array([100, 100]))
    assert together[1] - together[0] < 0.8 * (independent[1] - independent[0])


def test_ratio_interval_agrees_with_the_delta_method_on_large_samples():
    top, bottom, se = 0.4, 0.1, 0.002
    around = lambda x: (x - 1.96 * se, x + 1.96 * se)  # noqa: E731
    low, high = ratio_interval(top, around(top), bottom, around(bottom))
    half = 1.96 * 4 * math.hypot(se / top, se / bottom)
    assert low == pytest.approx(4 - half, rel=0.01) and high == pytest.approx(4 + half, rel=0.01)


def test_ratio_interval_is_open_where_the_denominator_may_be_zero():
    low, high = ratio_interval(0.4, (0.3, 0.5), -0.01, (-0.1, 0.08))
    assert high == math.inf and 0 < low < 0.4 / 0.01
    assert ratio_interval(0.4, (0.3, 0.5), 0.0, (-0.1, 0.1))[0] == pytest.approx(math.sqrt(0.3 * 0.5) / 0.1)


@pytest.mark.parametrize("table", [(30, 9, 2, 9), (10, 0, 0, 10), (5, 7, 7, 1), (0, 12, 0, 3)])
def test_mcnemar_is_statsmodels(table):
    first, second = pairs(*table)
    contingency = pytest.importorskip("statsmodels.stats.contingency_tables")
    both, a, b, neither = table
    want = contingency.mcnemar([[both, a], [b, neither]], exact=True).pvalue
    assert mcnemar(first, second) == pytest.approx(1.0 if math.isnan(want) else want)


def test_an_unknown_interval_may_hold_zero():
    assert covers_zero(None) and covers_zero((0.0, 1.0)) and not covers_zero((0.1, 1.0))
