"""Did cutting the tail remove the shortcut? The evidence on the test split, and the label it earns (docs/reading.md)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxtrunc.core.jsonio import strict
from jaxtrunc.evals import cells as weigh
from jaxtrunc.evals import comparison
from jaxtrunc.evals.accuracy import accuracy_panel
from jaxtrunc.evals.curves import Curves, Point, Record, Track, control_names, curve_name, matched
from jaxtrunc.evals.intervals import covers_zero
from jaxtrunc.evals.records import decode_predictions
from jaxtrunc.evals.statistics import Statistics

Entry = dict[str, Any] | None
REQUIRED = ("interpolate", "lora")  # named even where they were not run: the verdict asks for one, the paper for the other
COLLAPSE_WITHIN = 0.10
GAP_TO_REFUTE = 0.05
MOSTLY_FLAT = 0.5


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on; each entry is `{"value", "interval"}` or None. Rates are fractions.

    Attributes:
      missing: control → why its advantage is None; `decoupling` → why that of top_k is.
      boundary: what `boundary_evidence` found, in the boundary case.
      precision: how far rounded operands agree with float32 (`evals/precision.py`); None: nothing was rounded.
      flat_share: of the cut matrices, those whose singular values are all the same, so that top_k means no more than any k.
    """

    k: int | None
    ft_gap: Entry
    accuracy_gain: Entry
    reduction: Entry
    loss_pp: Entry
    decoupling: Mapping[str, Entry]
    specificity: Mapping[str, Entry] = field(default_factory=dict)
    advantage: Mapping[str, Entry] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    boundary: Mapping[str, Any] | None = None
    precision: Mapping[str, Any] | None = None
    flat_share: float = 0.0


def study_statistics(
    test: Statistics,
    records: Sequence[Record],
    validation: Statistics | None,
    validation_records: Sequence[Record],
    selection: Mapping[str, Any] | None,
    full_rank: int,
    boundary: Mapping[str, Any] | None = None,
    precision: Mapping[str, Any] | None = None,
    flat_share: float = 0.0,
) -> dict[str, Any]:
    """The `verdict` of results.json.

    Args:
      test: with attributes; validation: without.
      records, validation_records: of one residual policy and scope, `base` and `ft` among them.
      selection: what `select_k` returned.
      full_rank: the largest numerical rank over matrices.
      boundary: what `boundary_evidence` found, in the boundary case.
      precision: what `precision_evidence` found, where operands were rounded.
      flat_share: share of the cut matrices with a flat spectrum (`spectral.flat_share`).
    """
    curves = Curves(test, records)
    chosen = Curves(validation, validation_records) if validation is not None and validation_records else None
    k = selection["k"] if selection else None
    decoupling = {name: curves.decoupling(name, curves.grid(name, full_rank)) for name in curves.names}
    advantage = _advantages(curves, chosen, k)
    evidence = Evidence(
        k=k,
        ft_gap=curves.ft_gap(),
        accuracy_gain=curves.gain(),
        **_at_selected(test, records, k),
        decoupling={name: track and track.entry() for name, track in decoupling.items()},
        specificity=_specificity(curves, full_rank),
        advantage={name: None if isinstance(found, str) else found for name, found in advantage.items()},
        missing={name: found for name, found in advantage.items() if isinstance(found, str)}
        | ({} if decoupling.get("top_k") else {"decoupling": _no_decoupling(curves, full_rank)}),
        boundary=boundary,
        precision=precision,
        flat_share=flat_share,
    )
    label, reasons = judge(evidence)
    return strict({"label": label, "reasons": reasons, **vars(evidence)})


def judge(evidence: Evidence) -> tuple[str, list[str]]:
    """The first label that applies, with its reasons."""
    untested = _untested(evidence)
    if untested:
        return "not tested", untested
    if evidence.flat_share > MOSTLY_FLAT:
        return "not specific to the spectrum", [f"the spectrum is flat in {evidence.flat_share:.0%} of the matrices: "
                                                "which components top_k keeps there is decided by rounding"]
    reduced = _above(evidence.reduction, 1)
    decoupled = evidence.decoupling.get("top_k")
    if _inside(decoupled, COLLAPSE_WITHIN) and not reduced:
        return "collapse to base", [
            "accuracy and gap are given up together (decoupling of top_k within ±0.10)",
            "the interval of R(k*) is not above 1",
        ]
    cheap = evidence.loss_pp is not None and evidence.loss_pp["value"] < comparison.TOLERANCE_PP
    if reduced and cheap and _above(decoupled, 0):
        return _against_controls(evidence)
    refuting = _refuting(evidence, reduced)
    if refuting:
        return "refuted", refuting
    return "inconclusive", _missing(evidence, reduced, cheap)


def _untested(evidence: Evidence) -> list[str]:
    """Why the claim was not put to the test; empty if it was."""
    reasons = []
    if evidence.ft_gap is None:
        reasons.append("the fine-tuned model has no defined gap")
    elif covers_zero(evidence.ft_gap["interval"]):
        reasons.append("the interval of the fine-tuned model's gap covers 0: no shortcut is shown")
    if evidence.accuracy_gain is None or covers_zero(evidence.accuracy_gain["interval"]):
        reasons.append("the interval of the accuracy gained by fine-tuning covers 0")
    if evidence.k is None:
        reasons.append("no k* was chosen (that needs a validation split and top_k at ranks, not at fractions alone)")
    elif evidence.k == 0:
        reasons.append("k* is 0: fine-tuning gained nothing measurable on validation")
    if evidence.precision is not None and not evidence.precision["holds"]:
        reasons.append(evidence.precision["reason"])
    return reasons + [f"no room: {failed['reason']}" for failed in (evidence.boundary or {}).get("preconditions", ())
                      if not failed["holds"]]


def _against_controls(evidence: Evidence) -> tuple[str, list[str]]:
    """R(k*), L(k*) and decoupling hold: is it the spectrum?"""
    reasons = ["the interval of R(k*) is above 1", "the loss at k* is below 2 points", "decoupling of top_k is above 0"]
    known = {name: entry for name, entry in evidence.advantage.items() if entry and entry["interval"] is not None}
    behind = [name for name, entry in known.items() if not _above(entry, 0)]
    rivals = [name for name in known if name.endswith("interpolate")]
    if not rivals:
        return "inconclusive", [*reasons, "but interpolation could not be compared at matched accuracy"]
    if any(name in behind for name in rivals):
        return "not specific to the spectrum", [*reasons, "but interpolation is not shown to do worse at matched accuracy"]
    if behind:
        return "inconclusive", [*reasons, f"but no advantage at matched accuracy is shown over {', '.join(behind)}"]
    return "supported", [*reasons, f"the advantage at matched accuracy is above 0 over {', '.join(known)}"]


def _refuting(evidence: Evidence, reduced: bool) -> list[str]:
    reasons = []
    if _below(evidence.decoupling.get("top_k"), 0):
        reasons.append("decoupling of top_k is below 0: truncation gives up accuracy before the gap")
    measured = evidence.reduction is not None and evidence.reduction["interval"] is not None
    if measured and not reduced and evidence.ft_gap is not None and abs(evidence.ft_gap["value"]) >= GAP_TO_REFUTE:
        reasons.append("the fine-tuned model's gap is at least 5 points, and the interval of R(k*) is not above 1")
    return reasons


def _missing(evidence: Evidence, reduced: bool, cheap: bool) -> list[str]:
    decoupled, why = evidence.decoupling.get("top_k"), evidence.missing.get("decoupling")
    state = f"known: {why}" if why else "shown to be above 0"
    checks = {"the interval of R(k*) is not above 1": reduced, "the loss at k* is not below 2 points": cheap,
              f"decoupling of top_k is not {state}": _above(decoupled, 0)}
    return [text for text, holds in checks.items() if not holds]


def _at_selected(statistics: Statistics, records: Sequence[Record], k: int | None) -> dict[str, Entry]:
    """R(k*) and L(k*) of top_k; FT itself stands for a k* that was not evaluated, and at k* = 0 no R is claimed."""
    truth = statistics.truth
    if k is None or truth.primary is None:
        return {"reduction": None, "loss_pp": None}
    ft, base = (next(record for record in records if record["operator"] == end) for end in ("ft", "base"))
    model = next((r for r in records if curve_name(r) == "top_k" and r["k"] == k), ft if k else base)
    models = [decode_predictions(record["predictions"]) for record in (model, ft)]
    panel = statistics.panel(truth.primary, models)
    weights = weigh.gap(panel.cells, truth.directions.get(truth.primary))
    return {"reduction": comparison.reduction(panel, weights) if k else None,
            "loss_pp": comparison.loss(*accuracy_panel(statistics, models))}


def _no_decoupling(curves: Curves, full_rank: int) -> str:
    """Why there is no decoupling of top_k."""
    points = curves.points("top_k")
    if curves.grid("top_k", full_rank):
        return "fine-tuning is not shown to have changed both accuracy and gap"
    if any(param is not None for _, param in points):
        return "top_k was run at fractions of the rank, and decoupling is taken over ranks below the full one"
    return "top_k was run at no rank between 0 and the full one"


def _specificity(curves: Curves, full_rank: int) -> dict[str, Entry]:
    """decoupling(top_k) − decoupling(control), over the points of k that both have.

    Interpolation has points of k only where it is norm-matched; a control that was not run stands as None.
    """
    found: dict[str, Entry] = dict.fromkeys(REQUIRED)
    for name in control_names(curves.names):
        own = set(curves.grid(name, full_rank))
        shared = [point for point in curves.grid("top_k", full_rank) if point in own]
        top, track = (curves.decoupling(curve, shared) for curve in ("top_k", name))
        if name != "interpolate" or "norm-matched interpolate" not in curves.names:
            found[name] = (top - track).entry() if top and track else None
    return found


def _advantages(test: Curves, validation: Curves | None, k: int | None) -> dict[str, dict[str, Any] | str]:
    """Per control its advantage, or why there is none."""
    names = control_names(test.names)
    absent: dict[str, dict[str, Any] | str] = {name: "it was not run" for name in REQUIRED if name not in names}
    target = validation.accuracy("top_k", (k, None)) if validation and k and (k, None) in validation.points("top_k") else None
    if validation is None or target is None or (k, None) not in test.points("top_k") or not test.has_gap:
        return absent | dict.fromkeys(names, "top_k has no point at k* to compare with")
    mixes = {name: matched(validation, name, float(target.rows[0]), test.points(name)) for name in names}
    return absent | {name: _advantage(test, name, mix, (k, None)) for name, mix in mixes.items()}


def _advantage(test: Curves, name: str, mix: Mapping[Point, float] | None, chosen: Point) -> dict[str, Any] | str:
    """|gap| of the control at matched accuracy minus |gap| of top_k at k*, with the points that were mixed."""
    if mix is None:
        return "no setting has the validation accuracy of top_k at k*, and no two bracket it"
    tracks = {point: track for point in mix if (track := test.gap(name, point))}
    mixed = np.sum([mix[point] * track.rows for point, track in tracks.items()], axis=0)
    control = Track(mixed, all(track.sound for track in tracks.values()))
    top = test.gap("top_k", chosen)
    assert top is not None and len(tracks) == len(mix), "a split with a gap has it at every point"
    difference = Track(np.abs(control.rows), control.sound) - Track(np.abs(top.rows))
    signs = [math.copysign(1.0, track.rows[0]) for track in (control, top)]
    terms = [*((signs[0] * share, name, point) for point, share in mix.items()), (-signs[1], "top_k", chosen)]
    found = difference.entry()
    points = [{"k": k, "param": param, "share": share} for (k, param), share in mix.items()]
    return found | {"interval": test.edge_interval(terms) or found["interval"], "points": points}


def _above(entry: Entry, limit: float) -> bool:
    return bool(entry and entry["interval"] is not None and entry["interval"][0] > limit)


def _below(entry: Entry, limit: float) -> bool:
    return bool(entry and entry["interval"] is not None and entry["interval"][1] < limit)


def _inside(entry: Entry, radius: float) -> bool:
    return bool(entry and entry["interval"] is not None and max(map(math.fabs, entry["interval"])) <= radius)
