"""Each branch of the verdict, from evidence and from whole synthetic studies."""

import dataclasses

import numpy as np
import pytest
from test_curves import rates
from toy_splits import make_truth, predict, record

from jaxtrunc.core.jsonio import dumps
from jaxtrunc.evals import Statistics, select_k, study_statistics
from jaxtrunc.evals.intervals import paired_interval
from jaxtrunc.evals.verdict import Evidence, judge


def entry(value, low, high):
    return {"value": value, "interval": (low, high)}


GOOD = Evidence(
    k=8, ft_gap=entry(0.3, 0.25, 0.35), accuracy_gain=entry(0.2, 0.15, 0.25), reduction=entry(3.0, 2.0, 4.0),
    loss_pp=entry(1.0, -1.0, 3.0), decoupling={"top_k": entry(0.4, 0.3, 0.5)},
    advantage={"interpolate": entry(0.1, 0.05, 0.15), "random_k": entry(0.1, 0.02, 0.2), "bottom_k": None})
NO_REDUCTION = {"reduction": entry(1.1, 0.8, 1.4)}
BRANCHES = [
    ({}, "supported"),
    ({"ft_gap": None}, "not tested"),
    ({"ft_gap": entry(0.01, -0.02, 0.04)}, "not tested"),
    ({"accuracy_gain": entry(0.01, -0.02, 0.04)}, "not tested"),
    ({"k": 0}, "not tested"),
    ({"k": None}, "not tested"),
    ({"decoupling": {"top_k": entry(0.0, -0.08, 0.08)}, **NO_REDUCTION}, "collapse to base"),
    ({"decoupling": {"top_k": entry(0.0, -0.08, 0.08)}}, "inconclusive"),
    ({"advantage": {"interpolate": entry(0.0, -0.05, 0.05)}}, "not specific to the spectrum"),
    ({"advantage": {**GOOD.advantage, "norm-matched interpolate": entry(0, -1, 1)}}, "not specific to the spectrum"),
    ({"advantage": {"interpolate": None, "random_k": entry(0.1, 0.02, 0.2)}}, "inconclusive"),
    ({"advantage": {**GOOD.advantage, "random_k": entry(0.1, -0.02, 0.2)}}, "inconclusive"),
    ({"advantage": {**GOOD.advantage, "random_k": {"value": -0.1, "interval": None}}}, "supported"),
    ({"decoupling": {"top_k": entry(-0.4, -0.5, -0.3)}}, "refuted"),
    (NO_REDUCTION, "refuted"),
    ({"reduction": entry(0.5, 0.3, 0.8)}, "refuted"),
    ({**NO_REDUCTION, "ft_gap": entry(0.03, 0.01, 0.05)}, "inconclusive"),
    ({"reduction": {"value": 0.9, "interval": None}}, "inconclusive"),
    ({"boundary": {"preconditions": [{"holds": True, "reason": None}]}}, "supported"),
    ({"boundary": {"preconditions": [{"holds": False, "reason": "why"}]}}, "not tested"),
    ({"flat_share": 0.6}, "not specific to the spectrum"),
    ({"flat_share": 0.5}, "supported"),
    ({"flat_share": 1.0, **NO_REDUCTION}, "not specific to the spectrum"),
    ({"flat_share": 1.0, "k": 0}, "not tested"),
    ({"loss_pp": entry(2.5, 1.0, 4.0)}, "inconclusive"),
    ({"decoupling": {"top_k": entry(0.1, -0.2, 0.5)}}, "inconclusive"),
    ({"decoupling": {}}, "inconclusive"),
    ({"reduction": {"value": None, "interval": (1.5, np.inf)}}, "supported"),
]


@pytest.mark.parametrize(("change", "label"), BRANCHES)
def test_branches(change, label):
    got, reasons = judge(dataclasses.replace(GOOD, **change))
    assert got == label and reasons


TEST, VALIDATION = make_truth(1000), make_truth(1000, split="validation")
STATISTICS, BLIND = Statistics(TEST, draws=500), Statistics(VALIDATION.without_groups(), draws=500)
ENDS = [("ft", 0.8, 0.3, {}), ("base", 0.6, 0.02, {})]
TOP = [("top_k", 0.74, 0.02, {"k": 1}), ("top_k", 0.795, 0.04, {"k": 4}), ("top_k", 0.8, 0.06, {"k": 8}),
       ("top_k", 0.8, 0.3, {"k": 64})]
LINE = [("interpolate", 0.6 + 0.2 * a, 0.02 + 0.28 * a, {"param": a}) for a in (0.25, 0.5, 0.75)]
RANDOM = [("random_k", 0.7, 0.15, {"k": 4, "seed": s}) for s in range(5)] + [
    ("random_k", 0.798, 0.25, {"k": 8, "seed": s}) for s in range(5)]


def verdict(levels, validated=True):
    test = [record(STATISTICS, name, predict(TEST, rates(a, g)), **level) for name, a, g, level in levels]
    blind = [record(BLIND, name, predict(VALIDATION, rates(a, g)), **level) for name, a, g, level in levels]
    selection = select_k(BLIND, blind, 64) if validated else None
    return study_statistics(STATISTICS, test, BLIND, blind if validated else [], selection, 64)


def test_a_shortcut_in_the_tail_is_supported():
    got = verdict([*ENDS, *TOP, *LINE, ("interpolate", 0.8, 0.3, {"param": 1.0}), *RANDOM])
    assert got["label"] == "supported", got["reasons"]
    assert got["k"] == 4 and dumps(got)
    assert got["reduction"]["interval"][0] > 1
    random = got["advantage"]["random_k"]
    assert random["points"] == [{"k": 8, "param": None, "share": 1.0}] and random["value"] == pytest.approx(0.25 - 0.04)
    assert got["specificity"]["random_k"]["interval"][0] > 0 and got["specificity"]["interpolate"] is None
    assert got["advantage"]["lora"] is None and got["specificity"]["lora"] is None and got["boundary"] is None
    assert got["missing"] == {"lora": "it was not run"}


def test_lora_is_a_control_over_its_own_ranks():
    adapter = [("lora", 0.7, 0.2, {"k": 4}), ("lora", 0.79, 0.28, {"k": 8})]
    got = verdict([*ENDS, *TOP, *LINE, *adapter])
    retained = [(0.74 - 0.6) / 0.2 - 0, (0.795 - 0.6) / 0.2 - 0.02 / 0.28, 1 - 0.04 / 0.28]
    rival = [0.1 / 0.2 - 0.18 / 0.28, 0.19 / 0.2 - 0.26 / 0.28]
    assert got["decoupling"]["top_k"]["value"] == pytest.approx(np.mean(retained), abs=5e-3)
    assert got["specificity"]["lora"]["value"] == pytest.approx(np.mean(retained[1:]) - np.mean(rival), abs=5e-3)
    assert [point["k"] for point in got["advantage"]["lora"]["points"]] == [8]
    assert got["advantage"]["lora"]["interval"][0] > 0.2 and got["label"] == "supported" and not got["missing"]


def test_a_control_out_of_reach_is_null_with_a_reason():
    got = verdict([*ENDS, *TOP, *LINE, ("lora", 0.7, 0.2, {"k": 4}), ("noise", 0.7, 0.2, {"k": 4, "seed": 0})])
    assert got["advantage"]["lora"] is None and "no two bracket it" in got["missing"]["lora"]
    assert got["advantage"]["noise"]["interval"] is None, "one seed"


def test_interpolation_that_does_as_well_is_named():
    rival = [("interpolate", 0.795, 0.04, {"param": 0.5})]
    assert verdict([*ENDS, *TOP, *rival])["label"] == "not specific to the spectrum"


def test_a_mixture_of_two_points_is_matched():
    got = verdict([*ENDS, *TOP, *LINE])["advantage"]["interpolate"]
    assert [point["param"] for point in got["points"]] == [0.75, 1.0], "α = 1 is the fine-tuned model"
    share = (0.795 - 0.75) / (0.8 - 0.75)
    assert got["value"] == pytest.approx((1 - share) * 0.23 + share * 0.3 - 0.04, abs=2e-3)


def test_sliding_back_to_base_collapses():
    slide = [("top_k", 0.6 + 0.2 * t, 0.02 + 0.28 * t, {"k": k}) for k, t in ((1, 0.2), (4, 0.5), (8, 0.8), (64, 1.0))]
    got = verdict([*ENDS, *slide])
    assert got["label"] == "collapse to base" and got["k"] == 64 and got["reduction"]["value"] == 1.0


def test_accuracy_lost_before_the_gap_refutes():
    worse = [("top_k", 0.62, 0.2, {"k": 1}), ("top_k", 0.66, 0.28, {"k": 4}), ("top_k", 0.8, 0.3, {"k": 64})]
    assert verdict([*ENDS, *worse])["label"] == "refuted"


def test_at_k_zero_no_reduction_is_claimed():
    flat = [("ft", 0.8, 0.3, {}), ("base", 0.8, 0.02, {}), ("top_k", 0.8, 0.1, {"k": 4}), ("top_k", 0.8, 0.3, {"k": 64})]
    got = verdict(flat)
    assert got["k"] == 0 and got["label"] == "not tested" and got["reduction"] is None and got["loss_pp"]["value"] == 0


@pytest.mark.parametrize(("levels", "why"), [
    ([("top_k", 0.74, 0.02, {"param": 0.25})], "fractions"), ([("top_k", 0.8, 0.3, {"k": 64})], "no rank between"),
    ([], "no rank between")])
def test_why_there_is_no_decoupling(levels, why):
    got = verdict([*ENDS, ("top_k", 0.6, 0.02, {"k": 0}), *levels])
    assert not got["decoupling"].get("top_k") and why in got["missing"]["decoupling"]
    assert got["label"] == "refuted" and got["k"] == 64, "R = 1 at the full rank"


def test_a_fine_tuning_that_changed_nothing_has_no_decoupling():
    got = verdict([("ft", 0.8, 0.3, {}), ("base", 0.8, 0.02, {}), *TOP])
    assert "not shown to have changed" in got["missing"]["decoupling"]


def test_an_unknown_decoupling_is_said_among_the_reasons():
    unknown = {"decoupling": {}, "missing": {"decoupling": "top_k was run at fractions"}}
    label, reasons = judge(dataclasses.replace(GOOD, **unknown))
    assert label == "inconclusive" and reasons == ["decoupling of top_k is not known: top_k was run at fractions"]


def test_fractions_alone_choose_no_k():
    got = verdict([*ENDS, ("top_k", 0.74, 0.02, {"param": 0.25}), ("top_k", 0.79, 0.04, {"param": 0.5})])
    assert got["label"] == "not tested" and "fractions" in got["reasons"][0] and "fractions" in got["missing"]["decoupling"]


def test_ranks_between_the_powers_of_two_count():
    cuts = [("top_k", 0.74, 0.02, {"k": 3}), ("top_k", 0.795, 0.04, {"k": 9}), ("top_k", 0.8, 0.3, {"k": 64})]
    got = verdict([*ENDS, *cuts, *LINE])
    retained = [(0.74 - 0.6) / 0.2 - 0, (0.795 - 0.6) / 0.2 - 0.02 / 0.28]
    assert got["decoupling"]["top_k"]["value"] == pytest.approx(np.mean(retained), abs=5e-3) and got["label"] == "supported"


def test_without_validation_nothing_is_tested():
    got = verdict([*ENDS, *TOP, *LINE], validated=False)
    assert got["label"] == "not tested" and "k*" in got["reasons"][0] and got["reduction"] is None
    assert got["decoupling"]["top_k"]["value"] > 0.3, "curves are described all the same"


def test_a_task_without_attributes():
    truth = TEST.without_groups()
    statistics = Statistics(truth, draws=200)
    test = [record(statistics, name, predict(TEST, rates(a, g)), **level) for name, a, g, level in [*ENDS, *TOP]]
    got = study_statistics(statistics, test, None, [], None, 64)
    assert got["label"] == "not tested" and got["ft_gap"] is None


def test_an_advantage_with_a_cell_at_one_has_a_mover_interval():
    """The bootstrap sees no spread in a cell where a model is always right; Newcombe's paired interval does."""
    top = [("top_k", 0.75, 0.02, {"k": 1}), ("top_k", 0.8, 0.04, {"k": 4}), ("top_k", 0.8, 0.4, {"k": 64})]
    levels = [("ft", 0.8, 0.4, {}), ("base", 0.6, 0.02, {}), *top, ("interpolate", 0.8, 0.39, {"param": 0.9})]
    got = verdict(levels)["advantage"]["interpolate"]
    assert got["points"] == [{"k": None, "param": 0.9, "share": 1.0}] and got["value"] == pytest.approx(0.35)
    certain = verdict([*levels[:-1], ("interpolate", 0.8, 0.4, {"param": 0.9})])["advantage"]["interpolate"]
    mixed = verdict([*levels[:-1], ("interpolate", 0.7, 0.1, {"param": 0.9}), ("interpolate", 0.82, 0.36, {"param": 1.1})])
    mixed = mixed["advantage"]["interpolate"]
    assert [point["param"] for point in mixed["points"]] == [1.0] and mixed["value"] == pytest.approx(0.36), "as accurate as FT"
    cells = STATISTICS.cells("marker")
    models = [predict(TEST, rates(0.8, g)) == TEST.labels for g in (0.4, 0.04)]
    wanted = paired_interval(np.array([0.5, -0.5, -0.5, 0.5]), cells.index, *models)
    assert models[0][cells.index == 0].all() and certain["interval"] == pytest.approx(wanted)


def test_a_mixture_with_a_cell_at_one():
    top = [("top_k", 0.75, 0.02, {"k": 1}), ("top_k", 0.795, 0.04, {"k": 4}), ("top_k", 0.8, 0.4, {"k": 64})]
    got = verdict([("ft", 0.8, 0.4, {}), ("base", 0.6, 0.02, {}), *top, ("interpolate", 0.7, 0.1, {"param": 0.9})])
    mixed = got["advantage"]["interpolate"]
    assert [point["param"] for point in mixed["points"]] == [0.9, 1.0] and got["k"] == 4
    value = 0.05 * 0.1 + 0.95 * 0.4 - 0.04
    low, high = mixed["interval"]
    assert mixed["value"] == pytest.approx(value, abs=2e-3) and low < value < high and 0.05 < high - low < 0.12
