"""The grid: cells that train, and what is said of their numbers."""

import numpy as np
import pytest
from scipy import stats
from steering import numbers
from steering.cells import RATES, SEEDS, Cell, front, random_gate, settings, tuning
from steering.numbers import chosen_rate, difference, mean
from steering.page import Grid, better
from steering.run import run_cell

from jaxtrunc.recipes.steer.offline.tasks import WORLDS

WAYS = {"kept": "higher", "fabricated": "lower"}


@pytest.mark.slow
@pytest.mark.parametrize("task", WORLDS)
def test_twenty_steps_from_a_young_base(task, tmp_path, monkeypatch, compilation_cache):
    """A base that has learned little: then neither loss is at its bottom, and both can fall."""
    monkeypatch.setattr(WORLDS[task], "pretraining", 20)
    for method in ("sift", "muon"):
        found = run_cell(Cell(task, method, 1e-3, 1.0, 0), tmp_path / "cells", tmp_path / "bases", steps=20)
        losses = np.array(found["losses"])
        measured = [found[split][name] for split in ("base", "validation", "test") for name in found["better"]]
        assert losses.shape == (20, 2) and np.isfinite(losses).all() and np.isfinite(measured).all()
        assert (losses[-3:].mean(0) < losses[:3].mean(0)).all(), (method, losses)
    assert run_cell(Cell(task, "muon", 1e-3, 1.0, 0), tmp_path / "cells", tmp_path / "none") == found  # not run again


def test_a_difference_is_paired():
    rng = np.random.default_rng(0)
    baseline = rng.normal(size=5)
    method = baseline + 0.3 + 0.01 * rng.normal(size=5)
    expected = stats.ttest_rel(method, baseline).confidence_interval(0.95)
    found = difference(method.tolist(), baseline.tolist(), "higher")
    assert np.allclose((found.low, found.high), (expected.low, expected.high)) and found.verdict == "better"
    assert difference(method.tolist(), baseline.tolist(), "lower").verdict == "worse"
    assert difference([1.0, -1, 1, -1, 0.1], [0.0] * 5, "lower").verdict == "undecided"


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "undecided"), (0.5, "worse")])
def test_values_that_are_all_the_same_have_a_point(shift, verdict):
    found = difference([1.0 + shift] * 5, [1.0] * 5, "lower")
    assert (found.value, found.low, found.high, found.verdict) == (shift, shift, shift, verdict)


def test_the_learning_rate_of_the_best_validation_split():
    cells = tuning("safety", "muon")
    scores = dict(zip(cells, ((0.5, 0.1), (0.9, 0.3), (0.8, 0.9)), strict=True))
    results = {cell: {"better": WAYS, "validation": dict(zip(WAYS, values, strict=True)), "test": dict.fromkeys(WAYS, cell.rate)}
               for cell, values in scores.items()}
    assert chosen_rate(results, cells) == cells[1].rate  # 0.7, 0.8, 0.45
    assert numbers.score(results[cells[0]]) == pytest.approx(0.7)


def test_no_result_is_from_the_seed_that_rates_were_chosen_on():
    assert {cell.seed for cell in tuning("safety", "sift")} == {0} and 0 not in SEEDS
    others = {(cell.rate, cell.weight) for cell in front("safety", "sift", RATES[1])}
    assert others == {(RATES[0], 1.0), (RATES[2], 1.0), (RATES[1], 0.25), (RATES[1], 4.0)}


def test_a_random_gate_opens_as_often():
    steps = [len(settings(Cell("safety", random_gate(0.6), 1e-3, 1.0, seed))["sift"]["when"]["steps"]) for seed in range(50)]
    assert mean(steps).low < 60 < mean(steps).high


def test_metrics_in_the_order_of_the_task():
    cell = Cell("safety", "muon", 1e-3, 1.0, 1)
    assert list(better(Grid({cell: {"better": WAYS}}, {("safety", "muon"): [cell]}, {}), "safety")) == list(WAYS)
