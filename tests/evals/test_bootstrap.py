"""The paired stratified bootstrap against a plain loop, and the coverage of the gap's interval."""

import numpy as np
import pytest
from scipy.stats import binom
from toy_splits import make_truth, predict

from jaxtrunc.evals import bootstrap
from jaxtrunc.evals.bootstrap import Resamples, percentile_interval
from jaxtrunc.evals.cells import gap
from jaxtrunc.evals.statistics import Statistics


def test_rates_are_accuracies_of_resamples_within_strata():
    index = np.array([0, 1, 0, 1, 1, 2])
    correct = np.array([[1, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0]], bool)
    rates = Resamples(index, 3, draws=500, seed=3).rates(correct)
    assert rates.shape == (501, 2, 3)
    np.testing.assert_allclose(rates[0], [[0.5, 2 / 3, 1], [0.5, 1 / 3, 0]])
    assert set(np.unique(rates[1:, :, 0])) <= {0, 0.5, 1} and (rates[1:, 0, 2] == 1).all()
    # stratum 0: the two models are right on different examples, so a resample that gains one loses the other
    np.testing.assert_allclose(rates[1:, 0, 0] + rates[1:, 1, 0], 1)


def test_spread_is_that_of_a_binomial():
    correct = np.arange(400)[None] % 10 < 7
    rates = Resamples(np.zeros(400, int), 1, draws=4000).rates(correct)[1:, 0, 0]
    assert rates.mean() == pytest.approx(0.7, abs=0.002)
    assert rates.std() == pytest.approx(np.sqrt(0.7 * 0.3 / 400), rel=0.05)


def test_an_empty_stratum_is_nan():
    rates = Resamples(np.array([0, 2]), 3, draws=5).rates(np.ones((1, 2), bool))
    assert np.isnan(rates[:, 0, 1]).all() and (rates[:, 0, [0, 2]] == 1).all()


def test_draws_are_the_same_whether_kept_or_not(monkeypatch):
    index, correct = np.arange(60) % 3, np.arange(120).reshape(2, 60) % 7 < 4
    kept = Resamples(index, 3, draws=50, seed=1)
    first, again = kept.rates(correct), kept.rates(correct)
    monkeypatch.setattr(bootstrap, "_KEEP", 0)
    fresh = Resamples(index, 3, draws=50, seed=1)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, fresh.rates(correct))
    np.testing.assert_array_equal(first, fresh.rates(correct))
    assert not np.array_equal(first, Resamples(index, 3, draws=50, seed=2).rates(correct))


def test_models_share_resamples_across_calls():
    truth = make_truth(50)
    statistics = Statistics(truth)
    a, b = predict(truth, [0.6, 0.8, 0.7, 0.9]), predict(truth, [0.5, 0.9, 0.6, 0.9], seed=4)
    together = statistics.panel("marker", [a, b]).rates
    np.testing.assert_array_equal(together[:, 1], statistics.panel("marker", [b]).rates[:, 0])


def test_the_same_split_gives_the_same_draws_in_another_process():
    """A record made after a resume must agree with one made before: the seed is a constant of the partition."""
    truth = make_truth(50)
    rows = [Statistics(truth).panel(name, [predict(truth, [0.6, 0.8, 0.7, 0.9])]).rates for name in ("marker", "marker", None)]
    np.testing.assert_array_equal(rows[0], rows[1])
    assert rows[0][1:].mean() == pytest.approx(0.75, abs=0.01) and rows[2].shape == (2001, 1, 2)
    np.testing.assert_allclose(rows[0][1, 0], [0.58, 0.88, 0.64, 0.92])


def test_gap_interval_against_a_loop():
    truth = make_truth(80)
    predictions = predict(truth, [0.55, 0.8, 0.6, 0.9])
    panel = Statistics(truth).panel("marker", [predictions])
    weights = gap(panel.cells, truth.directions["marker"])
    low, high = panel.interval(weights)
    rng, correct, found = np.random.default_rng(9), predictions == truth.labels, []
    for _ in range(3000):
        cell = [correct[panel.cells.index == c][rng.integers(0, 80, 80)].mean() for c in range(4)]
        found.append(0.5 * ((cell[0] - cell[1]) + (cell[3] - cell[2])))
    np.testing.assert_allclose((low, high), np.quantile(found, [0.025, 0.975]), atol=0.012)


def test_unbounded_ratios_have_no_upper_limit():
    low, high = percentile_interval(np.array([1.0] * 50 + [np.inf] * 50))
    assert low == 1.0 and not np.isfinite(high)


@pytest.mark.parametrize("rates", [(0.62, 0.85, 0.55, 0.9), (0.3, 0.7, 0.5, 0.995)])
def test_the_gaps_interval_covers_the_truth(rates):
    """300 samples of the four cells; the interval (bootstrap, or MOVER at an edge) holds the true gap about 95 %."""
    truth, sims = make_truth(sizes=[120, 60, 90, 150]), 300
    statistics = Statistics(truth, draws=1000)
    cells = statistics.cells("marker")
    weights = gap(cells, truth.directions["marker"])
    target = float(weights @ np.array(rates))
    rng, hits = np.random.default_rng(0), 0
    for _ in range(sims):
        correct = rng.random(len(truth.labels)) < np.array(rates)[cells.index]
        low, high = statistics.panel("marker", [np.where(correct, truth.labels, 1 - truth.labels)]).interval(weights)
        hits += low <= target <= high
    assert binom.ppf(0.001, sims, 0.945) <= hits <= binom.ppf(0.999, sims, 0.955), hits / sims
