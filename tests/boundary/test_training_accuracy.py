"""`accuracy: training`: every accuracy in loss, retention and selection is that on the training distribution."""

import dataclasses

import numpy as np
import pytest

from jaxtrunc.evals import Statistics, Truth, make_record, select_k
from jaxtrunc.evals.accuracy import accuracy_panel
from jaxtrunc.evals.curves import Curves

SIZES = (100, 200, 300, 400)  # cells (class, marker) of the test split
COUNTS = np.array([[80, 20], [30, 70]])
CELL = np.repeat(np.arange(4), SIZES)
TRUTH = Truth("test", CELL // 2, ("negative", "positive"), {"marker": CELL % 2}, {"marker": np.array([-1, 1])},
              {"marker": COUNTS}, COUNTS.sum(axis=1))
BALANCED = dataclasses.replace(TRUTH, training_classes=None)


def predict(rates):
    right = np.concatenate([np.arange(n) < round(rate * n) for n, rate in zip(SIZES, rates, strict=True)])
    return np.where(right, TRUTH.labels, 1 - TRUTH.labels)


def record(statistics, operator, rates, **level):
    scores = np.eye(2, dtype=np.float32)[predict(rates)]
    return make_record({"operator": operator, **level}, statistics, scores, np.ones(sum(SIZES), np.float32), dtype="float32",
                       ft=predict(FT), base=predict(BASE))


FT, BASE, CUT = (0.9, 0.4, 0.3, 0.95), (0.5, 0.5, 0.5, 0.5), (0.7, 0.45, 0.4, 0.8)
SHARES = COUNTS.ravel() / 200


def test_value_is_the_share_weighted_mean_of_the_cells():
    panel, weights = accuracy_panel(Statistics(TRUTH, draws=100), [predict(FT)])
    assert panel.value(weights) == pytest.approx(SHARES @ FT)


def test_loss_and_retention_follow():
    compared = record(Statistics(TRUTH, draws=200), "top_k", CUT, k=4)["comparison"]
    assert compared["loss_pp"]["value"] == pytest.approx(100 * (SHARES @ FT - SHARES @ CUT))
    assert compared["ret_acc"]["value"] == pytest.approx((SHARES @ CUT - SHARES @ BASE) / (SHARES @ FT - SHARES @ BASE))
    other = record(Statistics(BALANCED, draws=200), "top_k", CUT, k=4)["comparison"]
    within = lambda rates: (np.array([1 / 3, 2 / 3, 3 / 7, 4 / 7]) / 2) @ rates  # noqa: E731
    assert other["loss_pp"]["value"] == pytest.approx(100 * (within(np.array(FT)) - within(np.array(CUT))))
    assert other["reduction"]["value"] == compared["reduction"]["value"], "the gap does not depend on it"


def test_curves_and_gain_follow():
    statistics = Statistics(TRUTH, draws=200)
    ends = [record(statistics, "ft", FT), record(statistics, "base", BASE)]
    curves = Curves(statistics, [*ends, record(statistics, "top_k", CUT, k=4)])
    assert curves.gain()["value"] == pytest.approx(SHARES @ FT - SHARES @ BASE)
    assert curves.accuracy("top_k", (4, None)).rows[0] == pytest.approx(SHARES @ CUT)


def test_validation_weighs_classes_alone():
    """Class shares 0.5 and 0.5 in training; a class of which validation has less counts no less."""
    hidden = dataclasses.replace(TRUTH, split="validation").without_groups()
    panel, weights = accuracy_panel(Statistics(hidden, draws=100), [predict(FT)])
    negative, positive = (100 * FT[0] + 200 * FT[1]) / 300, (300 * FT[2] + 400 * FT[3]) / 700
    assert panel.cells.size == 2 and panel.value(weights) == pytest.approx((negative + positive) / 2)
    skewed = dataclasses.replace(hidden, training_classes=np.array([150, 50]))
    panel, weights = accuracy_panel(Statistics(skewed, draws=100), [predict(FT)])
    assert panel.value(weights) == pytest.approx(0.75 * negative + 0.25 * positive)


def test_the_choice_of_k_follows():
    """The cut loses three points in the class that training has most of, and gains them in the other."""
    def chosen(training_classes):
        hidden = dataclasses.replace(TRUTH, split="validation", training_classes=training_classes).without_groups()
        statistics = Statistics(hidden, draws=500)
        models = {"ft": (0.80, 0.80, 0.80, 0.80), "base": (0.5,) * 4, "cut": (0.6, 0.6, 0.9, 0.9)}
        return select_k(statistics, [record(statistics, "ft", models["ft"]), record(statistics, "base", models["base"]),
                                     record(statistics, "top_k", models["cut"], k=2)], 64)["k"]

    assert chosen(np.array([10, 190])) == 2 and chosen(np.array([190, 10])) == 64 and chosen(None) == 64
