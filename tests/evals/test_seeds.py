"""Summaries over training seeds."""

import statistics

import pytest

from jaxtrunc.evals.seeds import over_seeds


def test_mean_range_and_every_value():
    values = [0.31, 0.28, 0.37]
    assert over_seeds(values) == {"mean": pytest.approx(statistics.mean(values)), "range": [0.28, 0.37], "values": values}


@pytest.mark.parametrize("values", [[2.0, None, 3.0], [None], []])
def test_a_null_is_an_outcome_and_not_left_out(values):
    assert over_seeds(values) == {"mean": None, "range": None, "values": values}


def test_one_seed_is_its_own_range():
    assert over_seeds([1.5])["range"] == [1.5, 1.5]
