"""Plain language that follows from the numbers, whichever way they go."""

import pytest
from synthetic import results

from jaxtrunc.report.findings import HEADLINES, findings


@pytest.mark.parametrize("label", HEADLINES)
def test_every_label_has_a_headline_of_its_own(label):
    said = findings(results(label=label))
    assert said.label == label and said.headline == HEADLINES[label][1]
    assert len({headline for _, headline in HEADLINES.values()}) == len(HEADLINES)


def test_an_unknown_label_is_no_verdict():
    assert findings(results(label=None)).headline.startswith("No verdict")


def test_a_refutation_is_not_dressed_up():
    headline = findings(results(label="refuted")).headline
    assert headline.startswith("Refuted") and "did not reduce" in headline


def test_the_gap_is_said_with_what_its_interval_allows():
    made = results()
    ft = made["endpoints"]["ft"]
    for interval, words in (([0.1, 0.5], "a shortcut was learned"), ([-0.1, 0.5], "covers 0"), ([-0.5, -0.1], "below 0"),
                            (None, "stays open")):
        ft["intervals"]["gap"] = interval
        assert any(words in sentence for sentence in findings(made).shown), words


def test_a_reduction_is_claimed_only_above_one():
    made = results()
    record = next(r for r in made["records"] if r["operator"] == "top_k" and r["k"] == 8)
    for interval, words in (([1.2, 3.0], "the interval lies above 1"), ([0.8, 3.0], "no reduction is shown"),
                            (None, "shows nothing")):
        record["comparison"]["reduction"] = {"value": 2.0, "interval": interval}
        assert any(words in sentence for sentence in findings(made).shown), words


def test_controls_that_do_better_are_named():
    made = results()
    made["verdict"]["advantage"]["interpolate"] = {"value": -0.05, "interval": [-0.09, -0.01]}
    assert any("leave a smaller gap" in sentence and "interpolate −5.0" in sentence for sentence in findings(made).shown)


@pytest.mark.parametrize(("changes", "words"), [
    ({"operators": ("top_k",)}, "Controls not run: interpolation"), ({"seeds": 3}, "too few for any interval"),
    ({"seeds": 5}, "a verdict asks for 10"), ({"selected": None}, "no k was chosen"), ({"attributes": ()}, "primary gap is null"),
    ({}, "matched-rank LoRA"), ({}, "boundary case"), ({}, "Norm-matched controls were not run"),
    ({}, "other training seeds"),
])
def test_what_was_not_shown(changes, words):
    assert any(words in sentence for sentence in findings(results(**changes)).not_shown)


def test_k_zero_claims_nothing():
    shown = findings(results(selected=0)).shown
    assert any("no reduction is claimed" in sentence for sentence in shown)
    assert not any("×" in sentence for sentence in shown), shown


def test_why_decoupling_is_unknown_is_said():
    given = results()
    given["verdict"]["missing"] = {"decoupling": "top_k was run at fractions", "lora": "it was not run"}
    assert "Whether gap and accuracy decouple: top_k was run at fractions." in findings(given).not_shown


@pytest.mark.parametrize(("k", "words"), [(64, "No smaller k of the grid kept the accuracy."), (192, "so nothing is cut")])
def test_a_selection_at_the_end_of_the_grid_is_no_finding(k, words):
    assert any(words in sentence for sentence in findings(results(selected=k)).shown)
    assert not any(words in sentence for sentence in findings(results(selected=8)).shown)
