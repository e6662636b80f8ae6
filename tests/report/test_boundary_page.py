"""The boundary case and rounding on the page: what is said follows from the results."""

import pytest
from synthetic import results, spectra

from jaxtrunc.recipes.rounding import rounding_warnings
from jaxtrunc.report.boundary import SETS, boundary_table
from jaxtrunc.report.findings import findings
from jaxtrunc.report.page import render


def rate(value, n=1000):
    return {"value": value, "interval": [value - 0.02, value + 0.02], "n": n}


def boundary_results(label="collapse to base", variant="permuted", preconditions=()):
    given = results(label=label)
    values = {"base": (0.5, 0.5, 0.5, 0.72), "ft": (0.99, 0.02, 0.51, 0.53), "k*": (0.97, 0.03, 0.5, 0.55)}
    sets = {end: {name: rate(value) for name, value in zip(SETS, row, strict=True)} for end, row in values.items()}
    given["verdict"]["boundary"] = {"variant": variant, "agreement": 0.95, "least_cell": 500, "holds": not preconditions,
                                    "preconditions": list(preconditions), "sets": sets}
    given["config"]["task"] = {"accuracy": "training", "boundary": variant}
    for record in [*given["records"], *given["endpoints"].values()]:
        record["metrics"]["accuracy_training_weighted"] = record["metrics"]["accuracy"]
        record["intervals"]["accuracy_training_weighted"] = record["intervals"]["accuracy"]
    return given


def test_a_row_per_set_at_base_ft_and_k_star():
    table = boundary_table(boundary_results())
    assert table.columns == ("accuracy (%)", "n", "base", "FT", "top_k at k* = 8")
    assert table.rows[1] == ("marker flipped", "1000", "50.0 [48.0, 52.0]", "2.0 [0.0, 4.0]", "3.0 [1.0, 5.0]")
    assert len(table.rows) == 4 and boundary_table(results()) is None


@pytest.mark.parametrize(("variant", "words"), [("permuted", "labels were permuted"), ("ceiling", "solves the task already")])
def test_the_findings_say_what_the_case_is(variant, words):
    said = findings(boundary_results(variant=variant))
    assert words in said.shown[0] and "95 %" in said.shown[0] and "collapse to base" in said.shown[0]
    assert "right in 99.0 [97.0, 101.0] % where the marker agrees, 2.0 " in said.shown[1] and "true task" in said.shown[1]
    assert any(sentence.startswith("“Collapse to base” says") for sentence in said.shown)
    assert any("accuracy on the training distribution" in sentence for sentence in said.shown[2:])
    assert not any("boundary case" in sentence for sentence in said.not_shown)


def test_a_failed_precondition_is_said():
    failed = {"name": "accuracy_rises", "holds": False, "reason": "accuracy rose by 1.0 points", "value": 0.01, "interval": None}
    said = findings(boundary_results("not tested", "ceiling", [failed])).shown
    assert any("does not hold, so it tests nothing: accuracy rose by 1.0 points" in sentence for sentence in said)
    assert not any(sentence.startswith("“Collapse to base” says") for sentence in said)


def test_the_page_has_the_table():
    plots = {name: [] for name in ("curves", "plane", "decoupling", "spectra", "heat")}
    page = render(boundary_results(), plots)
    assert "The boundary case: marker and task apart" in page and "no marker, true labels" in page
    assert "The boundary case: marker" not in render(results(), plots)


def rounded(results_, matrices, floor=True):
    for entry in list(results_["spectra"].values())[:matrices]:
        entry |= {"bf16_source": True, "above_bf16": 3 if floor else None, "zero_share": 0.4, "below_bf16": 0.8}
    for entry in list(results_["spectra"].values())[matrices:]:
        entry |= {"bf16_source": False, "above_bf16": None, "below_bf16": 0.0}
    return results_


@pytest.mark.parametrize(("floor", "words"), [(True, "3 of 32 components rise above"), (False, "below bfloat16 resolution")])
def test_a_bf16_tail_is_warned_about_and_told(floor, words):
    given = rounded(results(), 3, floor)
    (warning,) = rounding_warnings(given["spectra"])
    assert warning.startswith("bf16_source: 3 of 28 cut matrices") and words in warning and "40 %" in warning
    said = findings(given)
    assert any("hold bfloat16 values" in sentence for sentence in said.shown)
    assert any("bfloat16 rounding of the checkpoints" in sentence for sentence in said.not_shown)


def test_a_float32_pair_is_not_warned_about():
    given = rounded(results(), 0)
    assert rounding_warnings(given["spectra"]) == [] and not any("bfloat16 values" in s for s in findings(given).shown)


@pytest.mark.parametrize("matrices", [0, 3, 28])
def test_the_share_below_bf16_is_said_of_every_pair(matrices):
    given = rounded(results(), matrices)
    for entry in given["spectra"].values():
        entry |= {"below_bf16": 0.123, "zero_share": 0.045}
    (said,) = [sentence for sentence in findings(given).shown if sentence.startswith("Updates below bfloat16 resolution")]
    assert "12.3 % of the entries" in said and "4.5 % are exactly 0" in said
    older = results() | {"spectra": spectra(curves=False)}
    for entry in older["spectra"].values():
        del entry["below_bf16"]
    assert not any("below bfloat16" in sentence for sentence in findings(older).shown)


def test_a_large_cast_of_the_fine_tuned_weights_is_warned_about():
    given = rounded(results(), 0)
    next(iter(given["spectra"].values()))["roundoff_delta"] = 0.3
    assert "changes 1 matrices by more than 10%" in rounding_warnings(given["spectra"])[0]
