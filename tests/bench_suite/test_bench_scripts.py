"""Every script of benchmarks/ with tiny shapes: both sides compute the same, and every target has its figure."""

import math

import pytest

pytest.importorskip("torch")

import curves
import decompose
import finetune
import levels
import read
import sae_encode
import startup
import sweep
from suite import markdown, readers
from suite.targets import TARGETS


def measured(script, name):
    """The report of a script, which answers its targets and can be printed."""
    report = script.measure(True)
    assert {target.name for target in TARGETS if target.script == name} <= report.measured.keys()
    assert markdown.section(report.result(0, 0))[0] == report.question
    return report


def facts(report, key):
    """A fact of every way that was run and has it."""
    return {row.name: row.facts[key] for comparison in report.comparisons for row in comparison.rows if key in row.facts}


@pytest.mark.slow
def test_decompositions_are_exact():
    report = measured(decompose, "decompose")
    sigma, cut = facts(report, "worst σ error"), facts(report, "‖ΔW − ΔW_k‖ over the best − 1")
    assert all(error < 1e-10 for name, error in sigma.items() if name.startswith("ours"))
    assert max(sigma.values()) < 1e-4 and max(cut.values()) < 1e-4
    assert sum("ours" in name for name in sigma) == 3 and len(sigma) >= 6


@pytest.mark.slow
def test_levels_are_the_same_for_everybody():
    found = facts(measured(levels, "levels"), "worst error of W(k)")
    assert len(found) >= 5 and max(found.values()) < 1e-5


@pytest.mark.slow
def test_evaluations_agree_and_nothing_is_compiled_again():
    report = measured(sweep, "sweep")
    assert report.measured["recompilations"] == 0
    for comparison in report.comparisons:
        bound = 1e-5 if comparison.title.startswith("float32") else 0.05
        rows = {row.name: row.facts for row in comparison.rows}
        assert all(rows[name][sweep.ERROR] < bound for name in (sweep.ONE, sweep.PLAIN, sweep.CAREFUL))
        assert rows[sweep.ONE][sweep.TOKENS] < rows[sweep.CAREFUL][sweep.TOKENS] < rows[sweep.PLAIN][sweep.TOKENS]


@pytest.mark.slow
def test_readers_see_the_same_update(monkeypatch):
    kept = (read.OURS, "torch, safe_open, tensor by tensor")  # transformers takes seconds to import
    monkeypatch.setattr(readers, "WAYS", {name: readers.WAYS[name] for name in kept})
    report = read.measure(True)
    norms = facts(report, "‖ΔW‖")
    assert len(norms) == 2 and len(set(norms.values())) == 1
    assert report.measured["resident"] > 0 and report.measured["reading"] is None


@pytest.mark.slow
def test_training_steps_have_the_same_losses():
    report = measured(finetune, "finetune")
    errors = facts(report, "worst error of a loss")
    assert len(errors) == 3 and max(errors.values()) < 1e-5
    assert report.comparisons[0].work > 500


@pytest.mark.slow
def test_a_second_run_compiles_less_and_missing_peers_are_said(monkeypatch):
    monkeypatch.setattr(startup, "find", lambda module: None)
    report = measured(startup, "startup")
    first, second = report.comparisons[1].rows
    assert second.facts["compiled"] < first.facts["compiled"] and second.facts["from the cache"] > first.facts["from the cache"]
    assert any("skipped: mergekit is not installed" in line for line in markdown.section(report.result(0, 0)))


@pytest.mark.slow
def test_encoders_of_sparse_autoencoders_agree():
    report = measured(sae_encode, "sae_encode")
    for comparison in report.comparisons:
        active = [row.facts["active latents per token"] for row in comparison.rows if row.facts]
        assert len(active) >= 2 and min(active) > 1 and max(active) - min(active) < 0.1
    errors = facts(report, sae_encode.ERROR)
    assert sae_encode.PLAIN in errors and max(errors.values()) < 1e-5


@pytest.mark.slow
def test_curves_have_exponents():
    report = measured(curves, "curves")
    assert [curve.expected for curve in report.curves] == [3, 3, 1, 1, 1, 1, 0]
    assert all(math.isfinite(markdown.exponent(vars(curve))) for curve in report.curves)
