"""The sets, the preconditions and the verdict of the boundary case, on predictions whose truth is known."""

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from jaxtrunc.evals import Statistics, Truth, make_record, select_k, study_statistics
from jaxtrunc.evals.boundary import BoundaryCase, boundary_evidence

N, RHO = 4000, 0.95
RNG = np.random.default_rng(0)
LABELS = RNG.permutation(np.arange(N) % 2)
TRUE = RNG.permutation(LABELS)
COUNTS = np.array([[950, 50], [50, 950]])


def split(name, agreement):
    marker = np.where(RNG.random(N) < agreement, LABELS, 1 - LABELS)
    return Truth(name, LABELS, ("negative", "positive"), {"marker": marker}, {"marker": np.array([-1, 1])}, {"marker": COUNTS},
                 COUNTS.sum(axis=1))


TEST, VALIDATION = split("test", 0.5), split("validation", RHO)
CASE = BoundaryCase("permuted", RHO, TEST, TRUE)
TEXT, URN = RNG.integers(0, 2, N), RNG.random(N)  # what the model makes of the text; when it looks at the marker instead


def follower(share, truth=TEST):
    """Follows the marker in that share of the rows, its reading of the text elsewhere; nested in `share`."""
    return np.where(share > URN, truth.attributes["marker"], TEXT)


def test_sets_by_hand():
    marker = np.array([0, 1, 0, 1, 1, 1])
    truth = Truth("test", np.array([0, 0, 1, 1, 1, 0]), ("a", "b"), {"m": marker}, {"m": np.array([-1, 1])}, {"m": None})
    case = BoundaryCase("permuted", RHO, truth, np.array([1, 0, 1, 1, 0, 0]))
    assert case.aligned.tolist() == [True, False, False, True, True, False] and case.least_cell == 1
    sets = case.sets(np.array([0, 1, 0, 1, 0, 0]), np.array([1, 0, 1, 0, 0, 0]))
    assert {name: (entry["value"], entry["n"]) for name, entry in sets.items()} == {
        "aligned": (pytest.approx(2 / 3), 3), "conflicting": (pytest.approx(1 / 3), 3), "marker_free": (pytest.approx(3 / 6), 6),
        "true_task": (pytest.approx(5 / 6), 6)}
    assert sets["aligned"]["interval"] == pytest.approx(proportion_confint(2, 3, method="wilson"))


def test_a_marker_follower_is_at_chance_without_the_marker():
    sets = CASE.sets(follower(1.0), TEXT)
    assert sets["aligned"]["value"] == 1 and sets["conflicting"]["value"] == 0
    low, high = sets["marker_free"]["interval"]
    assert low < 0.5 < high


def records(truth, statistics, shares):
    def one(operator, share, **level):
        scores = np.eye(2, dtype=np.float32)[follower(share, truth)]
        return make_record({"operator": operator, **level}, statistics, scores, np.ones(N, np.float32), dtype="float32")

    return [one("ft", shares["ft"]), one("base", 0.0), *(one("top_k", share, k=k) for k, share in shares.items() if k != "ft")]


def study(shares, boundary):
    test, blind = Statistics(TEST, draws=500), Statistics(VALIDATION.without_groups(), draws=500)
    shown, hidden = records(TEST, test, shares), records(VALIDATION, blind, shares)
    return study_statistics(test, shown, blind, hidden, select_k(blind, hidden, 64), 64, boundary)


SHARES = {1: 0.2, 2: 0.4, 4: 0.55, 8: 0.7, 16: 0.8, 32: 0.85, 64: 0.9, "ft": 0.9}


def test_a_marker_response_that_is_cut_collapses_to_base():
    got = study(SHARES, boundary_evidence(CASE, {"value": 0.5, "interval": (0.4, 0.6)}, None, {}))
    assert got["label"] == "collapse to base", got["reasons"]
    top = got["decoupling"]["top_k"]
    assert abs(top["value"]) <= 0.1 and -0.25 < top["interval"][0] < top["interval"][1] < 0.25
    assert got["boundary"]["holds"] and got["boundary"]["preconditions"] == [] and got["boundary"]["least_cell"] >= 900


def test_a_shortcut_that_can_be_shed_does_not_collapse():
    """A model whose accuracy on the training distribution stays while its gap shrinks is told apart from the boundary case."""
    test, blind = Statistics(TEST, draws=500), Statistics(VALIDATION.without_groups(), draws=500)

    def one(operator, truth, statistics, right, **level):
        predictions = np.where(right[0] > URN, LABELS, np.where(right[1] > URN, truth.attributes["marker"], 1 - LABELS))
        return make_record({"operator": operator, **level}, statistics, np.eye(2, dtype=np.float32)[predictions],
                           np.ones(N, np.float32), dtype="float32")

    def both(truth, statistics):
        cuts = {1: (0.86, 0.90), 4: (0.86, 0.91), 16: (0.85, 0.91), 64: (0.5, 0.94)}
        return [one("ft", truth, statistics, (0.5, 0.94)), one("base", truth, statistics, (0.5, 0.5)),
                *(one("top_k", truth, statistics, right, k=k) for k, right in cuts.items())]

    shown, hidden = both(TEST, test), both(VALIDATION, blind)
    got = study_statistics(test, shown, blind, hidden, select_k(blind, hidden, 64), 64)
    assert got["decoupling"]["top_k"]["interval"][0] > 0.25 and got["label"] != "collapse to base"


@pytest.mark.parametrize(("solves", "gain", "holds", "words"), [
    (0.75, (0.2, 0.15, 0.25), [True, True], []),
    (0.70, (0.05, 0.01, 0.09), [True, True], []),
    (0.66, (0.2, 0.15, 0.25), [False, True], ["66.0 %", "70.0 % to 87.0 %"]),
    (0.90, (0.2, 0.15, 0.25), [False, True], ["90.0 %"]),
    (0.75, (0.04, 0.02, 0.06), [True, False], ["rose by 4.0 points", "5 points"]),
    (0.75, (0.06, -0.01, 0.13), [True, False], ["rose by 6.0 points"]),
    (0.75, None, [True, False], ["undefined"]),
])
def test_preconditions_of_the_ceiling(solves, gain, holds, words):
    case = BoundaryCase("ceiling", RHO, TEST, LABELS)
    gained = gain and {"value": gain[0], "interval": gain[1:]}
    found = boundary_evidence(case, {"value": solves, "interval": None}, gained, {})
    assert [condition["holds"] for condition in found["preconditions"]] == holds and found["holds"] is all(holds)
    reasons = " ".join(condition["reason"] or "" for condition in found["preconditions"])
    assert all(word in reasons for word in words)


def test_without_room_nothing_is_tested():
    case = BoundaryCase("ceiling", RHO, TEST, LABELS)
    got = study(SHARES, boundary_evidence(case, {"value": 0.6, "interval": None}, {"value": 0.3, "interval": (0.2, 0.4)}, {}))
    assert got["label"] == "not tested" and got["reasons"][0].startswith("no room: the base model's balanced accuracy")
