"""The boundary case: each level on the sets that tell marker from task, and whether it can test anything.

Every row of the reported split carries a marker, which agrees with the row's class or was flipped; the same rows without
any marker are evaluated beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from jaxtrunc.evals.cells import Cells
from jaxtrunc.evals.intervals import wilson
from jaxtrunc.evals.truth import Truth

Sets = dict[str, dict[str, Any]]
SOLVES, BELOW_MARKER, ROOM = 0.70, 0.08, 0.05


@dataclass(frozen=True)
class BoundaryCase:
    """What the levels of a boundary case are measured against.

    Attributes:
      kind: permuted or ceiling.
      agreement: ρ, how often the marker agrees with the class in training.
      truth: of the reported split; its primary attribute says which marker a row carries.
      true_labels: the classes before they were permuted; `truth.labels` in the variant ceiling.
    """

    kind: str
    agreement: float
    truth: Truth
    true_labels: Int[np.ndarray, " n"]

    @property
    def aligned(self) -> Bool[np.ndarray, " n"]:
        """Whether the marker of a row is the one that goes with its class."""
        directions, attribute = self.truth.directions[self.truth.primary or ""], self.truth.attributes[self.truth.primary or ""]
        assert directions is not None
        return directions[self.truth.labels] == 2 * attribute - 1

    @property
    def least_cell(self) -> int:
        """Rows of the smallest cell (class, marker)."""
        truth = self.truth
        return int(Cells.of(truth.labels, len(truth.class_names), truth.attributes[truth.primary or ""]).counts.min())

    def sets(self, predictions: Int[np.ndarray, " n"], unmarked: Int[np.ndarray, " n"]) -> Sets:
        """Accuracy with Wilson interval per set: marker aligned, marker flipped, no marker, and the true task.

        Args:
          predictions: on the reported split.
          unmarked: on the same rows without their markers.
        """
        right, free = predictions == self.truth.labels, unmarked == self.truth.labels
        return {"aligned": _rate(right[self.aligned]), "conflicting": _rate(right[~self.aligned]), "marker_free": _rate(free),
                "true_task": _rate(unmarked == self.true_labels)}


def boundary_evidence(
    case: BoundaryCase, base_solves: Mapping[str, Any], gain: Mapping[str, Any] | None, sets: Mapping[str, Sets | None]
) -> dict[str, Any]:
    """The `boundary` of a verdict: variant, preconditions, and the sets at base, FT and k*.

    Args:
      base_solves: `{"value", "interval"}`: balanced accuracy of the base on the rows without markers.
      gain: the same for accuracy on the training distribution, FT minus base; None where it is undefined.
    """
    met = [_base_in_range(case, base_solves), _room(gain)] if case.kind == "ceiling" else []
    return {"variant": case.kind, "agreement": case.agreement, "least_cell": case.least_cell, "preconditions": met,
            "holds": all(condition["holds"] for condition in met), "sets": dict(sets)}


def _base_in_range(case: BoundaryCase, solves: Mapping[str, Any]) -> dict[str, Any]:
    highest = case.agreement - BELOW_MARKER
    value = solves["value"]
    reason = (f"the base model's balanced accuracy without markers is {_percent(value)}, and the case needs {_percent(SOLVES)} to "
              f"{_percent(highest)}")
    return _condition("base_solves_the_task", solves, value is not None and SOLVES <= value <= highest, reason)


def _room(gain: Mapping[str, Any] | None) -> dict[str, Any]:
    gain = gain or {"value": None, "interval": None}
    value, interval = gain["value"], gain["interval"]
    rose = value is not None and interval is not None and value >= ROOM and interval[0] > 0
    reason = (f"accuracy on the training distribution rose by {_points(value)} from base to fine-tuned, and the case needs "
              f"{100 * ROOM:.0f} points and an interval above 0")
    return _condition("accuracy_rises", gain, rose, reason)


def _condition(name: str, entry: Mapping[str, Any], holds: bool, reason: str) -> dict[str, Any]:
    return {"name": name, "value": entry["value"], "interval": entry["interval"], "holds": holds,
            "reason": None if holds else reason}


def _rate(right: Bool[np.ndarray, " n"]) -> dict[str, Any]:
    if not len(right):
        return {"value": None, "interval": None, "n": 0}
    low, high = wilson(float(right.mean()), len(right))
    return {"value": float(right.mean()), "interval": (float(low), float(high)), "n": len(right)}


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{100 * value:.1f} %"


def _points(value: float | None) -> str:
    return "an undefined amount" if value is None else f"{100 * value:.1f} points"
