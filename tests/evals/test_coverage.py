"""Do the 95 % intervals of R, L and decoupling hold the truth in 95 % of samples? Simulated studies with known cell rates.

In each simulation every example draws one number per cell rate, common to all models, so that better models are right where
worse ones are: the pairing that the bootstrap has to respect. The truth follows from the cell rates alone.
"""

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import balanced_accuracy_score
from toy_splits import make_truth

from jaxtrunc.evals import Statistics, comparison
from jaxtrunc.evals import cells as weigh
from jaxtrunc.evals.accuracy import accuracy_panel
from jaxtrunc.evals.curves import Curves
from jaxtrunc.evals.records import encode_predictions

SIMULATIONS, DRAWS = 2000, 500
TRUTH = make_truth(sizes=[160, 120, 110, 170])
STATISTICS = Statistics(TRUTH, draws=DRAWS)
CELL = STATISTICS.cells("marker").index
WEIGHTS = weigh.gap(STATISTICS.cells("marker"), TRUTH.directions["marker"])
RATES = {"base": (0.60, 0.55, 0.58, 0.62), "ft": (0.90, 0.55, 0.60, 0.92), 1: (0.72, 0.58, 0.60, 0.74),
         4: (0.86, 0.66, 0.70, 0.88)}


def sample(rng, rates):
    """Predictions of all models on a new sample: nested answers with a little noise of their own."""
    shared, own = rng.random(len(CELL)), rng.random((len(rates), len(CELL)))
    draws = [np.where(mine < 0.8, shared, rng.random(len(CELL))) for mine in own]
    right = [draw < np.array(rate)[CELL] for draw, rate in zip(draws, rates.values(), strict=True)]
    return {name: np.where(hit, TRUTH.labels, 1 - TRUTH.labels) for name, hit in zip(rates, right, strict=True)}


def gap(rates):
    return float(WEIGHTS @ np.array(rates))


def accuracy(rates):
    """Balanced accuracy from cell rates and cell sizes."""
    sizes = np.bincount(CELL)
    return np.mean([np.average(np.array(rates)[c], weights=sizes[c]) for c in ([0, 1], [2, 3])])


def simulate(measure, target):
    """How many of the simulated intervals hold the target."""
    rng, hits = np.random.default_rng(7), 0
    for _ in range(SIMULATIONS):
        low, high = measure(sample(rng, RATES))
        hits += low <= target <= high
    return hits


def believable(hits):
    """Compatible with a coverage of 92.5 to 97.5 % (percentile intervals of ratios are a little off in small samples)."""
    return binom.ppf(0.001, SIMULATIONS, 0.925) <= hits <= binom.ppf(0.999, SIMULATIONS, 0.975)


def test_balanced_accuracy_is_scikit_learns():
    predictions = sample(np.random.default_rng(1), RATES)["ft"]
    panel, weights = accuracy_panel(STATISTICS, [predictions])
    assert panel.value(weights) == pytest.approx(balanced_accuracy_score(TRUTH.labels, predictions))


def test_loss():
    def measure(models):
        return comparison.loss(*accuracy_panel(STATISTICS, [models[4], models["ft"]]))["interval"]

    hits = simulate(measure, 100 * (accuracy(RATES["ft"]) - accuracy(RATES[4])))
    assert believable(hits), hits / SIMULATIONS


def test_the_one_sided_bound_of_the_loss():
    """Below the truth in a twentieth of the samples."""
    target, rng = 100 * (accuracy(RATES["ft"]) - accuracy(RATES[1])), np.random.default_rng(3)
    above = sum(comparison.loss(*accuracy_panel(STATISTICS, [m[1], m["ft"]]))["upper95"] >= target
                for m in (sample(rng, RATES) for _ in range(SIMULATIONS)))
    assert believable(above), above / SIMULATIONS


def test_reduction():
    def measure(models):
        return comparison.reduction(STATISTICS.panel("marker", [models[1], models["ft"]]), WEIGHTS)["interval"]

    hits = simulate(measure, gap(RATES["ft"]) / gap(RATES[1]))
    assert believable(hits), hits / SIMULATIONS


def retained(rates):
    base, ft = RATES["base"], RATES["ft"]
    kept = (accuracy(rates) - accuracy(base)) / (accuracy(ft) - accuracy(base))
    return kept - (gap(rates) - gap(base)) / (gap(ft) - gap(base))


def curves_of(models):
    def record(name, predictions):
        operator = name if isinstance(name, str) else "top_k"
        k = None if isinstance(name, str) else name
        return {"operator": operator, "k": k, "param": None, "seed": None, "norm_matched": False,
                "predictions": encode_predictions(predictions)}

    return Curves(STATISTICS, [record(name, predictions) for name, predictions in models.items()])


def test_decoupling():
    def measure(models):
        return curves_of(models).decoupling("top_k", [(1, None), (4, None)]).entry()["interval"]

    hits = simulate(measure, np.mean([retained(RATES[1]), retained(RATES[4])]))
    assert believable(hits), hits / SIMULATIONS


def test_decoupling_agrees_with_a_plain_bootstrap():
    models = sample(np.random.default_rng(5), RATES)
    low, high = curves_of(models).decoupling("top_k", [(1, None), (4, None)]).entry()["interval"]
    members, rng, found = [np.flatnonzero(c == CELL) for c in range(4)], np.random.default_rng(6), []
    right = {name: predictions == TRUTH.labels for name, predictions in models.items()}
    for _ in range(1500):
        rows = [rng.choice(cell, len(cell)) for cell in members]
        rates = {name: [hit[cell].mean() for cell in rows] for name, hit in right.items()}
        span = [accuracy(rates["ft"]) - accuracy(rates["base"]), gap(rates["ft"]) - gap(rates["base"])]
        found.append(np.mean([(accuracy(rates[k]) - accuracy(rates["base"])) / span[0]
                              - (gap(rates[k]) - gap(rates["base"])) / span[1] for k in (1, 4)]))
    wanted = np.quantile(found, [0.025, 0.975])
    assert (low, high) == pytest.approx(tuple(wanted), abs=0.12 * (wanted[1] - wanted[0]))
