"""The checklist: what each state needs, which run decides, and what is left out."""

import pytest
from made_runs import entry, run_of

from jaxtrunc.report import collect_outcomes as outcomes
from jaxtrunc.report.collect_claims import checklist
from jaxtrunc.report.collect_facts import REDUCTIONS, facts, flat
from jaxtrunc.report.collect_tables import factors, overview, rates


def claim(runs, start, similarity=()):
    found = [claim for claim in checklist(runs, similarity) if claim.text.startswith(start)]
    assert len(found) == 1, start
    return found[0]


@pytest.mark.parametrize(("numbers", "state"), [
    ({"reduction": (4.0, 3.0, 5.5)}, "confirmed"),
    ({"reduction": (1.4, 0.9, 2.0)}, "nominal"),
    ({"reduction": (0.9, 0.7, 1.2), "gap_ft": 0.04}, "not shown"),
    ({"reduction": (0.9, 0.7, 1.2), "gap_ft": 0.06}, "refuted"),  # the fine-tuned gap is 5 points or more
    ({"reduction": (1.0, 1.0, 1.0), "gap_ft": 0.04}, "refuted"),  # k* is full
    ({"reduction": (None, 1.8, None), "gap_k": 0.01}, "confirmed"),  # the gap at k* may be 0: a lower limit alone
    ({"reduction": (None, 0.8, None), "gap_k": 0.01}, "nominal"),
])
def test_reduction(numbers, state):
    outcome = outcomes.reduction(run_of(**numbers))
    assert outcome and outcome.state == state


@pytest.mark.parametrize(("loss", "state"), [
    ((1.0, 0.2, 1.8, 1.7, "confirmed"), "confirmed"), ((1.5, 0.2, 2.8, 2.6, "nominal"), "nominal"),
    ((2.5, 1.2, 3.8, 3.6, "not met"), "not shown"), ((4.0, 2.5, 5.5, 5.1, "not met"), "refuted")])
def test_loss(loss, state):
    outcome = outcomes.loss(run_of(loss=loss))
    assert outcome and outcome.state == state


@pytest.mark.parametrize(("gap", "state"), [(0.20, "confirmed"), (-0.20, "confirmed"), (0.02, "not shown"), (-0.02, "not shown")])
def test_shortcut_in_either_direction(gap, state):
    outcome = outcomes.shortcut(run_of(gap_ft=gap))
    assert outcome and outcome.state == state and outcome.entry and outcome.entry["value"] == abs(gap)


def test_a_control_is_judged_by_its_hardest_form():
    run = run_of(advantage={"random_k": (0.06, 0.02, 0.10), "norm-matched random_k": (0.01, -0.02, 0.04),
                            "interpolate": (-0.02, -0.03, -0.01)})
    outcome = outcomes.control(run, ("random_k",))
    assert outcome and outcome.state == "nominal" and "norm-matched random_k" in outcome.said
    behind = outcomes.control(run, ("interpolate",))
    assert behind and behind.state == "refuted"
    assert outcomes.control(run, ("lora",)) is None


@pytest.mark.parametrize(("numbers", "state"), [
    ({"reduction": (6.0, 4.6, 8.0)}, "confirmed"), ({"reduction": (5.0, 3.1, 9.0)}, "nominal"),
    ({"reduction": (4.0, 3.0, 6.0)}, "not shown"), ({"reduction": (2.0, 1.5, 2.6), "gap_ft": 0.4, "gap_k": 0.2}, "refuted"),
    ({"reduction": (2.0, 1.5, 2.6), "gap_ft": 0.4, "gap_k": 0.04}, "refuted"),  # reduction_fpr is 10
    ({"reduction": (None, 5.2, None), "gap_ft": 0.4, "gap_k": 0.001}, "confirmed"),  # the gap at k* may be 0: a lower limit alone
    ({"reduction": (None, 2.2, None), "gap_ft": 0.4, "gap_k": 0.01}, "nominal"),
])
def test_about_five_times_is_judged_by_the_primary_definition_alone(numbers, state):
    outcome = outcomes.five_times(run_of(task="civil_comments", **numbers))
    assert outcome and outcome.state == state
    assert "reduction" not in outcome.said and "gap_worst 2.00×" in outcome.said and "gap_pooled " in outcome.said
    assert outcome.entry["interval"] == list(numbers["reduction"][1:]), "also where R has no value"
    assert outcome.entry["factors"]["gap_worst"] == entry(2.0)


def test_without_the_primary_definition_nothing_is_about_five_times():
    run = run_of(task="civil_comments")
    chosen = next(r for r in run.results["records"] if r["operator"] == "top_k" and r["k"] == 8)
    chosen["comparison"]["reduction"] = None
    assert outcomes.five_times(run) is None


def test_a_factor_for_every_definition():
    run = run_of(reduction=(4.0, 3.0, 5.5), gap_ft=0.40, gap_k=0.10)
    found = {name: (run.factor(name) or {}).get("value") for name in ("gap", "gap_pooled", "gap_worst", "fpr_gap")}
    assert found == {"gap": 4.0, "gap_pooled": 4.0, "gap_worst": 2.0, "fpr_gap": pytest.approx(4.0)}


def test_at_k_zero_there_is_no_factor_under_any_definition():
    run = run_of(label="not tested")
    run.results["selection"]["k"] = 0
    for record in run.results["records"]:
        record["comparison"] |= {name: entry(4.0, 3.0, 5.0) for name in REDUCTIONS.values()}
    known = facts(run)
    assert known["reduction"] is None and set(known["factors"].values()) == {None} and flat(run)["reduction"] is None
    assert not any("×" in cell for table in (overview([run]), factors([run])) for cells in table.rows for cell in cells)


@pytest.mark.parametrize(("label", "decoupling", "state"), [
    ("collapse to base", (0.02, -0.05, 0.08), "confirmed"), ("inconclusive", (0.05, -0.1, 0.2), "nominal"),
    ("inconclusive", (0.12, 0.05, 0.2), "not shown"), ("supported", (0.3, 0.2, 0.4), "refuted")])
def test_boundary(label, decoupling, state):
    run = run_of(label=label, decoupling=decoupling, boundary="ceiling")
    found = claim([run], "Boundary case")
    assert found.state == state and found.asked == 1
    assert claim([run], "Truncation shrinks").state == "not tested"  # a boundary run counts nowhere else


def test_the_worst_run_decides_and_the_rest_is_counted():
    runs = [run_of("a"), run_of("b", reduction=(1.2, 0.8, 1.9)), run_of("c", reduction=(1.1, 0.7, 1.9)),
            run_of("d", label="not tested", reduction=(0.5, 0.4, 0.6))]
    found = claim(runs, "Truncation shrinks")
    assert claim(runs[:3], "Truncation shrinks").state == "nominal"
    assert found.state == "nominal where tested" and found.number.endswith("(c)")
    assert found.counts == "confirmed in 1, nominal in 2, not tested in 1"
    assert [outcome["where"] for outcome in found.plain()["outcomes"]] == ["a", "b", "c"]


def test_a_claim_about_every_run_is_confirmed_only_if_every_run_tests_it():
    tested, untested = [run_of("a")], [run_of(f"u{i}", label="not tested") for i in range(3)]
    assert claim(tested, "Truncation shrinks").state == "confirmed"
    found = claim(tested + untested, "Truncation shrinks")
    assert found.state == "confirmed where tested" and found.counts == "confirmed in 1, not tested in 3"
    refuting = run_of("b", reduction=(0.9, 0.7, 1.0))
    assert claim([refuting, *untested], "Truncation shrinks").state == "refuted", "one run is enough against it"
    without = run_of("c", advantage={"random_k": (0.06, 0.02, 0.10)})
    assert claim([*tested, without], "Not explained by interpolation").state == "confirmed where tested"
    assert claim(tested + untested, "Fine-tuning learns").state == "confirmed", "which every run tests"


def test_a_claim_about_the_best_run_is_refuted_only_if_every_run_tests_it():
    def state(low, *others):
        return claim([run_of("a", task="civil_comments", reduction=low), *others], "The largest reduction").state

    untested = run_of("u", task="civil_comments", label="not tested")
    assert state((6.0, 4.6, 8.0), untested) == "confirmed" and state((2.0, 1.5, 2.6)) == "refuted"
    assert state((2.0, 1.5, 2.6), untested) == "refuted where tested"


def test_where_a_learning_rate_of_lora_comes_from():
    search = {"learning_rate": 1e-3, "given": False, "rank": 16, "searched": [{"learning_rate": rate} for rate in (1e-4, 1e-3)]}
    given = {"learning_rate": 1e-3, "given": True, "rank": None, "searched": []}
    runs = [run_of("s0"), run_of("s1"), run_of("other", task="paws"), run_of("none")]
    for run, lora in zip(runs, (search, given, given, None), strict=True):
        run.results["lora"] = lora
    assert rates(runs).rows == [("s0", "0.001", "chosen at rank 16 among 0.0001, 0.001"), ("s1", "0.001", "chosen by s0"),
                                ("other", "0.001", "given")]


def test_the_largest_reduction_is_about_the_best_run_on_civil_comments():
    runs = [run_of("a", task="civil_comments", reduction=(2.0, 1.5, 2.6)),
            run_of("b", task="civil_comments", reduction=(6.0, 4.6, 8.0)), run_of("c", task="hans", reduction=(9.0, 8.0, 10.0))]
    found = claim(runs, "The largest reduction")
    assert found.state == "confirmed" and found.number.endswith("(b)") and found.asked == 2
    assert "gap 6.00×" in found.number and "gap_pooled" in found.number and "fpr_gap" in found.number
    assert claim([run_of("c")], "The largest reduction").state == "not tested"


def test_spectra_are_alike_if_every_pair_is():
    pairs = [{"a": "x", "b": "y", "value": 0.04}, {"a": "x", "b": "z", "value": 0.13}]
    assert claim([], "The spectra are alike", pairs[:1]).state == "confirmed"
    found = claim([], "The spectra are alike", pairs)
    assert found.state == "refuted" and found.number == "distance 0.130 (x and z)"


def test_spectra_are_broad_by_their_median():
    run = run_of()
    run.results["spectra"] = {name: {"rank": 100, "energy_k": {"0.9": k}} for name, k in (("a", 5), ("b", 12), ("c", 90))}
    outcome = outcomes.broad(run)
    assert outcome and outcome.state == "confirmed" and outcome.entry == entry(0.12)


def test_nothing_at_all_is_tested_by_no_runs():
    assert {claim.state for claim in checklist([], [])} == {"not tested"}
