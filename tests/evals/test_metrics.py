"""Metrics against tables worked by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from toy_splits import CLASSES, make_truth, predict

from jaxtrunc.evals import Truth, cells
from jaxtrunc.evals.metrics import (
    attribute_block,
    calibration_error,
    overall,
    permuted_range,
    wilds,
    worst_cell,
    worst_wilds,
)
from jaxtrunc.evals.statistics import Statistics

RATES = (0.6, 0.8, 0.5, 0.9)  # (0,0) (0,1) (1,0) (1,1); the marker goes with class 1
SIZES = (100, 50, 40, 110)


def block(truth, predictions, worst=None):
    panel = Statistics(truth, draws=200).panel("marker", [predictions])
    return attribute_block(panel, truth, "marker", worst)


def test_hand_computed_table():
    truth = make_truth(sizes=list(SIZES))
    truth = Truth(truth.split, truth.labels, CLASSES, truth.attributes, truth.directions,
                  {"marker": np.array([[90, 10], [10, 90]])})
    found = block(truth, predict(truth, RATES))
    correct = np.array(RATES) * SIZES  # 60 40 20 99
    got = found["metrics"]
    assert got["gap"] == pytest.approx(((0.6 - 0.8) + (0.9 - 0.5)) / 2)
    assert got["gap_pooled"] == pytest.approx((60 + 99) / 210 - (40 + 20) / 90)
    assert got["worst_group_accuracy"] == pytest.approx(0.5)
    assert got["gap_worst"] == pytest.approx(correct.sum() / 300 - 0.5)
    assert got["gap_range"] == pytest.approx(0.4)
    assert got["fpr_gap"] == pytest.approx((1 - 0.8) - (1 - 0.6))
    assert got["group_mean"] == pytest.approx(0.7)
    assert got["accuracy_training_weighted"] == pytest.approx(0.45 * 0.6 + 0.05 * 0.8 + 0.05 * 0.5 + 0.45 * 0.9)
    assert [(g["label"], g["attributes"]["marker"], g["n"]) for g in found["groups"]] == [
        ("negative", 0, 100), ("negative", 1, 50), ("positive", 0, 40), ("positive", 1, 110)]
    assert [g["accuracy"] for g in found["groups"]] == pytest.approx(RATES)


def test_binary_gap_is_half_of_tpr_and_fpr_differences():
    truth = make_truth(sizes=list(SIZES))
    predictions, marker = predict(truth, RATES), truth.attributes["marker"]
    rate = lambda y, a: (predictions[(truth.labels == y) & (marker == a)] == 1).mean()  # noqa: E731
    want = ((rate(1, 1) - rate(1, 0)) + (rate(0, 1) - rate(0, 0))) / 2
    assert block(truth, predictions)["metrics"]["gap"] == pytest.approx(want)


def test_gap_does_not_depend_on_group_sizes():
    small, large = make_truth(100), make_truth(sizes=[100, 500, 300, 200])
    assert block(small, predict(small, RATES))["metrics"]["gap"] == pytest.approx(
        block(large, predict(large, RATES))["metrics"]["gap"])


@pytest.mark.parametrize("classes", [2, 3])
def test_a_constant_classifier_has_no_gap(classes):
    truth = make_truth(sizes=[30, 50, 20, 60, 10, 90][:2 * classes], classes=tuple("abc"[:classes]),
                       directions=(-1, 1, -1)[:classes])
    predictions = np.ones(len(truth.labels), int)
    got = overall(Statistics(truth).panel(None, [predictions]), truth, predictions)["metrics"]
    assert got["balanced_accuracy"] == pytest.approx(1 / classes)
    assert got["predicted_share_b"] == 1 and got["predicted_share_a"] == 0
    found = block(truth, predictions)
    assert found["metrics"]["gap"] == 0
    assert found["intervals"]["gap"][0] < 0 < found["intervals"]["gap"][1], "cells at 0 and 1 still have an interval"


def test_overall_is_sklearns():
    truth = make_truth(sizes=[30, 50, 20, 60, 10, 90], classes=tuple("abc"), directions=(1, -1, -1))
    predictions = np.random.default_rng(0).integers(0, 3, len(truth.labels))
    panel = Statistics(truth, draws=300).panel(None, [predictions])
    got = overall(panel, truth, predictions)
    assert got["metrics"]["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth.labels, predictions))
    low, high = got["intervals"]["balanced_accuracy"]
    assert low < got["metrics"]["balanced_accuracy"] < high


def test_left_out_classes_are_named_and_do_not_count():
    truth = make_truth(100, classes=tuple("abc"), directions=(1, 0, -1))
    found = block(truth, predict(truth, (0.5, 0.9, 0.1, 0.8, 0.6, 0.4)))
    assert found["left_out"] == ["b"]
    assert found["metrics"]["gap"] == pytest.approx(((0.9 - 0.5) + (0.6 - 0.4)) / 2)


def test_unknown_direction_gives_no_gap():
    truth = make_truth(10)
    truth = Truth(truth.split, truth.labels, CLASSES, truth.attributes, {"marker": None}, {})
    found = block(truth, truth.labels)
    assert found["metrics"]["gap"] is None and found["intervals"]["gap"] is None
    assert found["metrics"]["gap_pooled"] is None and found["metrics"]["gap_range"] == 0


def test_an_empty_cell_makes_what_needs_it_null():
    truth = make_truth(sizes=[0, 50, 40, 60])
    found = block(truth, predict(truth, (0, 0.8, 0.5, 0.9)))
    assert {n for n, v in found["metrics"].items() if v is None} == {
        "gap", "fpr_gap", "group_mean", "accuracy_training_weighted", "worst_group_accuracy", "gap_worst", "gap_range",
        "gap_range_permuted"}
    assert found["metrics"]["gap_pooled"] == pytest.approx(0.9 - (40 + 20) / 90)
    empty = found["groups"][0]
    assert (empty["n"], empty["accuracy"], empty["interval"]) == (0, None, None)


def test_worst_group_interval_is_that_of_the_group_chosen_elsewhere():
    truth = make_truth(100)
    predictions = predict(truth, RATES)
    none, chosen = block(truth, predictions), block(truth, predictions, worst=0)
    assert none["intervals"]["worst_group_accuracy"] is None and none["intervals"]["gap_range"] is None
    low, high = chosen["intervals"]["worst_group_accuracy"]
    assert low < 0.6 < high, "Wilson limits of cell 0, although cell 2 is the worst here"
    assert chosen["intervals"]["gap_worst"][0] < 0.7 - 0.6 < chosen["intervals"]["gap_worst"][1]
    assert worst_cell(Statistics(truth).panel("marker", [predictions])) == 2


def test_wilds_groups_overlap():
    labels = np.array([0, 0, 0, 1, 1, 1])
    truth = Truth("test", labels, CLASSES, {"m": np.array([1, 1, 0, 1, 1, 0]), "f": np.array([0, 1, 1, 0, 1, 1])})
    predictions = np.array([0, 1, 1, 1, 1, 0])
    assert wilds(truth, predictions, None)["metrics"]["worst_group_accuracy_wilds"] == 0.0
    assert worst_wilds(truth, predictions) == 2  # (f, negative): both wrong
    empty = Truth("test", labels, CLASSES, {"m": np.zeros(6, int)})
    assert wilds(empty, predictions, None)["metrics"]["worst_group_accuracy_wilds"] is None


def test_permuted_range_is_what_chance_gives():
    truth = make_truth(50)
    predictions = predict(truth, RATES)
    rng, correct, found = np.random.default_rng(0), predictions == truth.labels, []
    for _ in range(400):
        marker = truth.attributes["marker"].copy()
        for y in (0, 1):
            marker[truth.labels == y] = rng.permutation(marker[truth.labels == y])
        rates = [correct[(truth.labels == y) & (marker == a)].mean() for y in (0, 1) for a in (0, 1)]
        found.append(max(rates) - min(rates))
    got = permuted_range(Statistics(truth).panel("marker", [predictions]))
    assert got == pytest.approx(np.mean(found), abs=0.02)


def test_calibration_error_by_hand():
    probability = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    got = calibration_error(np.log(probability).astype(np.float32), np.array([0, 1, 1, 1]))
    assert got == pytest.approx(0.5 * abs(0.5 - 0.9) + 0.5 * abs(1.0 - 0.6), abs=1e-6)


def test_fpr_gap_needs_two_classes():
    truth = make_truth(10, classes=tuple("abc"), directions=(1, -1, -1))
    assert cells.fpr_gap(Statistics(truth).cells("marker")) is None
