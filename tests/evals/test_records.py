"""Records: contract keys, strict JSON, what validation keeps back, comparison with the endpoints."""

import json

import numpy as np
import pytest
from toy_splits import make_truth, predict, record, scores_of

from jaxtrunc.core.jsonio import dumps
from jaxtrunc.evals import Statistics, decode_predictions, make_record, record_key
from jaxtrunc.evals.records import Worst, encode_predictions, worst_groups

TRUTH = make_truth(200)
STATISTICS = Statistics(TRUTH)
BASE = predict(TRUTH, (0.6, 0.6, 0.62, 0.62), seed=5)
FT = predict(TRUTH, (0.94, 0.6, 0.62, 0.96))
MODEL = predict(TRUTH, (0.9, 0.8, 0.78, 0.92))
CONTRACT = {"operator", "k", "param", "seed", "norm_matched", "residual", "scope", "split", "dtype", "n", "metrics",
            "intervals", "groups", "per_attribute", "comparison", "roundoff", "max_norm_factor", "samples"}


def compared(model, ft=FT, base=BASE, statistics=STATISTICS):
    scores, mass = scores_of(model), np.full(len(model), 0.5, np.float32)
    return make_record({"operator": "top_k", "k": 4}, statistics, scores, mass, dtype="float32", ft=ft, base=base)


def test_contract_keys_and_strict_json():
    got = compared(MODEL)
    assert got.keys() >= CONTRACT and json.loads(dumps(got)) == got
    assert got["metrics"].keys() == got["intervals"].keys() | {"verbalizer_mass", "calibration_error"}
    assert all(value is None or isinstance(value, float) for value in got["metrics"].values())
    assert got["metrics"]["verbalizer_mass"] == 0.5 and got["norm_matched"] is False and got["k"] == 4
    assert got["n"] == 800 == sum(group["n"] for group in got["groups"])
    assert got["per_attribute"]["marker"]["metrics"]["gap"] == got["metrics"]["gap"]


def test_loss_reduction_and_retention():
    said = compared(MODEL)["comparison"]
    assert said["loss_pp"]["value"] == pytest.approx(78 - 85) and said["loss_pp"]["claim"] == "confirmed"
    gap_ft, gap = (0.34 + 0.34) / 2, (0.1 + 0.14) / 2
    assert said["reduction"]["value"] == pytest.approx(gap_ft / gap)
    low, high = said["reduction"]["interval"]
    assert 1 < low < gap_ft / gap < high
    assert said["ret_acc"]["value"] == pytest.approx((0.85 - 0.61) / (0.78 - 0.61))
    assert said["ret_gap"]["value"] == pytest.approx(gap / gap_ft)
    assert said["mcnemar_p"]["value"] < 0.01 and said["reduction"]["overshoot"] is False
    assert said["reduction_range"]["value"] == pytest.approx((0.96 - 0.6) / (0.92 - 0.78))


def test_ft_against_itself_is_exactly_neutral():
    said = compared(FT)["comparison"]
    assert said["loss_pp"]["value"] == 0 and said["loss_pp"]["interval"] == [0, 0]
    assert said["reduction"] == {"value": 1.0, "interval": [1.0, 1.0], "overshoot": False}
    assert said["ret_acc"]["interval"] == [1.0, 1.0] and said["mcnemar_p"]["value"] == 1.0


def test_a_gap_that_may_be_zero_gives_a_lower_bound_only():
    said = compared(predict(TRUTH, (0.8, 0.8, 0.79, 0.8)))["comparison"]["reduction"]
    assert said["value"] is None and said["interval"][1] is None and said["interval"][0] > 1


def test_no_reduction_without_a_gap():
    assert compared(MODEL, ft=predict(TRUTH, (0.8, 0.8, 0.79, 0.8)))["comparison"]["reduction"] is None


def test_overshoot():
    said = compared(predict(TRUTH, (0.6, 0.9, 0.9, 0.6)))["comparison"]["reduction"]
    assert said["overshoot"] is True and said["value"] == pytest.approx(0.34 / 0.3)


def test_cells_at_one_still_have_intervals():
    ft, model = predict(TRUTH, (1.0, 0.6, 0.62, 1.0)), predict(TRUTH, (1.0, 0.8, 0.8, 1.0))
    got = compared(model, ft=ft)
    low, high = got["intervals"]["gap"]
    assert low < 0.2 < high
    low, high = got["comparison"]["reduction"]["interval"]
    assert 1 < low < 0.39 / 0.2 < high


def test_loss_claims():
    truth = make_truth(100)
    statistics = Statistics(truth)
    ft = predict(truth, (0.9, 0.8, 0.8, 0.9))
    levels = (((0.9, 0.8, 0.8, 0.9), 0), ((0.89, 0.79, 0.79, 0.89), 6), ((0.8, 0.7, 0.7, 0.8), 0))
    models = [predict(truth, rates, flips=flips) for rates, flips in levels]
    said = [compared(model, ft=ft, base=ft, statistics=statistics)["comparison"]["loss_pp"] for model in models]
    assert [entry["claim"] for entry in said] == ["confirmed", "nominal", "not met"]


def test_retention_is_null_if_nothing_was_gained():
    assert compared(MODEL, base=predict(TRUTH, (0.93, 0.62, 0.62, 0.95), seed=3))["comparison"]["ret_acc"] is None


def test_validation_records_say_nothing_about_groups():
    got = compared(MODEL, statistics=Statistics(TRUTH.without_groups()))
    assert got["groups"] == [] and got["per_attribute"] == {} and got["metrics"]["gap"] is None
    assert got["metrics"]["worst_group_accuracy"] is None and got["comparison"]["reduction"] is None
    assert got["comparison"]["loss_pp"]["value"] == pytest.approx(-7) and got["comparison"]["ret_acc"] is not None
    assert "marker" not in dumps(got)


def test_worst_group_is_chosen_on_another_split():
    validation = Statistics(make_truth(50, split="validation"))
    worst = worst_groups(validation, predict(validation.truth, (0.9, 0.3, 0.8, 0.9)))
    assert worst == Worst({"marker": 1}, 0)
    ones = np.ones(800, np.float32)
    got = make_record({"operator": "ft"}, STATISTICS, scores_of(FT), ones, dtype="float32", worst=worst)
    low, high = got["intervals"]["worst_group_accuracy"]
    assert low < 0.6 < high


def test_predictions_survive_the_file():
    predictions = np.array([0, 1, 61, 1000, 3])
    text = json.loads(dumps({"predictions": encode_predictions(predictions)}))["predictions"]
    assert len(text) == 5 and (decode_predictions(text) == predictions).all()


def test_keys_tell_levels_apart():
    level = {"k": 8, "param": None, "seed": 0}
    changes = ({}, {"seed": 1}, {"k": 4}, {"norm_matched": True}, {"residual": "base"}, {"k": None, "param": 0.5})
    made = [record(STATISTICS, "random_k", FT, **(level | change)) for change in changes]
    assert len({record_key(each) for each in made}) == len(changes)
    assert record_key(json.loads(dumps(made[0]))) == record_key(made[0])
