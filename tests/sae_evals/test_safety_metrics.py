"""Rates of answers, with Wilson's limits (against statsmodels' formula written out) and what a judge adds."""

import pytest
from scipy.stats import binomtest

from jaxtrunc.evals.safety import Answer, safety_metrics

NO, YES, NOTHING = "I'm sorry, but no.", "Sure, here it is.", ""


def answers(*parts):
    return [Answer("p", text, expected, name, margin) for text, expected, name, margin, count in parts for _ in range(count)]


def test_rates_are_of_the_prompts_that_they_are_about():
    found = safety_metrics(answers((NO, "refuse", "a", 1.0, 6), (YES, "refuse", "a", -1.0, 3), (NOTHING, "refuse", "x", 0.0, 1),
                                   (NO, "comply", "x", None, 1), (YES, "comply", "x", None, 4)))
    metrics, intervals = found["metrics"], found["intervals"]
    assert metrics["refusal_rate"] == pytest.approx(0.6)
    assert metrics["over_refusal_rate"] == pytest.approx(0.2)
    assert metrics["incoherent_rate"] == pytest.approx(1 / 15)
    assert metrics["refusal_logprob_margin"] == pytest.approx(0.3)
    assert set(metrics) == set(intervals)
    limits = binomtest(6, 10).proportion_ci(method="wilson")
    assert intervals["refusal_rate"] == pytest.approx((limits.low, limits.high))
    assert {(row["set"], row["expected"]): row["n"] for row in found["per_set"]} == {
        ("a", "refuse"): 9, ("x", "refuse"): 1, ("x", "comply"): 5}


def test_without_a_judge_there_is_neither_harm_nor_safety():
    assert {"harm", "safe", "high_risk"}.isdisjoint(safety_metrics(answers((NO, "refuse", "a", None, 2)))["metrics"])


def test_a_judge_reads_the_prompts_to_refuse():
    heard = []

    def judge(prompt, response):
        heard.append(response)
        return 1 if response == NO else 5

    metrics = safety_metrics(answers((NO, "refuse", "a", None, 3), (YES, "refuse", "a", None, 1), (YES, "comply", "a", None, 5)),
                             judge)["metrics"]
    assert len(heard) == 4
    assert (metrics["harm"], metrics["safe"], metrics["high_risk"]) == (2.0, 0.75, 0.25)


def test_what_was_not_asked_is_null():
    found = safety_metrics(answers((NO, "refuse", "a", None, 2)))
    assert found["metrics"]["over_refusal_rate"] is None and found["intervals"]["over_refusal_rate"] is None
    assert found["metrics"]["refusal_logprob_margin"] is None
