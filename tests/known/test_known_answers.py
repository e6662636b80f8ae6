"""Pairs of checkpoints whose truth is known, and what the whole program says of them."""

import known_runs
import pytest

LEAST_GAP = 0.15


def is_half_as_large_outside(facts) -> None:
    """Assert that the head is exactly what the leading cut keeps, and the tail half as large and orthogonal to it."""
    assert facts["least_ratio"] == pytest.approx(0.5, rel=1e-3) and facts["most_ratio"] == pytest.approx(0.5, rel=1e-3)
    assert facts["top_error"] <= 1e-4 and facts["overlap"] <= 1e-5


@pytest.mark.slow
def test_a_shortcut_in_the_tail_is_supported(workshop, judged, task_update, tmp_path):
    known = known_runs.tail(workshop, judged, task_update, tmp_path)
    is_half_as_large_outside(known.facts)
    ft, head, verdict = known.ft, known.head, known.results["verdict"]
    assert ft.gap >= LEAST_GAP and abs(head.gap) <= ft.gap / 3 and head.accuracy >= ft.accuracy - 0.02, (ft, head)
    assert verdict["label"] == "supported", verdict["reasons"]
    assert verdict["k"] == known.facts["head_rank"], "the cut that holds exactly T"
    assert verdict["ft_gap"]["value"] == pytest.approx(ft.gap), "the program and plain numpy agree"
    compared = [verdict["advantage"].get(name) for name in ("interpolate", "norm-matched interpolate")]
    assert any(compared) and all(entry["interval"][0] > 0 for entry in compared if entry)


@pytest.mark.slow
def test_a_shortcut_in_the_head_is_refuted(workshop, judged, tmp_path):
    known = known_runs.head(workshop, judged, tmp_path)
    is_half_as_large_outside(known.facts)
    ft, head, verdict = known.ft, known.head, known.results["verdict"]
    assert ft.gap >= LEAST_GAP and head.gap >= ft.gap and ft.accuracy >= head.accuracy + 0.05, (ft, head)
    assert verdict["label"] == "refuted", verdict["reasons"]
    assert verdict["decoupling"]["top_k"]["interval"][1] < 0


@pytest.mark.slow
def test_an_update_without_order_is_never_supported(workshop, judged, tmp_path):
    known = known_runs.flat(workshop, judged, tmp_path)
    assert known.facts["spread"] <= 1e-3 and known.ft.gap >= LEAST_GAP
    verdict = known.results["verdict"]
    assert verdict["label"] in ("not specific to the spectrum", "inconclusive"), verdict["reasons"]


@pytest.mark.slow
def test_the_boundary_case_collapses_to_base(tmp_path):
    verdict = known_runs.boundary(tmp_path).results["verdict"]
    assert verdict["ft_gap"]["interval"][0] > LEAST_GAP and verdict["accuracy_gain"]["interval"][0] > 0.05
    assert verdict["label"] == "collapse to base", verdict["reasons"]
