"""A truncated model against the two checkpoints: loss, reduction of the gap, what is retained of both, McNemar's test.

Every entry is `{"value": …, "interval": (low, high) or None, …}`, or None where nothing can be said. A limit that is
not finite means that there is none (null in a file).
"""

import math
from typing import Any

import numpy as np

from jaxtrunc.evals import cells as weigh
from jaxtrunc.evals.bootstrap import percentile_interval
from jaxtrunc.evals.intervals import Interval, covers_zero, mcnemar, ratio_interval
from jaxtrunc.evals.statistics import Panel

Entry = dict[str, Any] | None
TOLERANCE_PP = 2.0
MODEL, FT, BASE = 0, 1, 2  # the order of models in every panel here


def accuracy_entries(panel: Panel, weights: weigh.Weights) -> dict[str, Entry]:
    """Loss, retained accuracy and McNemar's p-value of the model; `weights` make accuracy (evals/accuracy.py)."""
    p_value = mcnemar(panel.correct[FT], panel.correct[MODEL])
    return {
        "loss_pp": loss(panel, weights),
        "ret_acc": retention(panel, weights),
        "mcnemar_p": {"value": p_value, "interval": None},
    }


def gap_entries(panel: Panel, directions: np.ndarray | None) -> dict[str, Entry]:
    """Retained gap, and the reduction under every definition of the gap (cells by attribute)."""
    weights = weigh.gap(panel.cells, directions)
    return {
        "reduction": reduction(panel, weights),
        "ret_gap": retention(panel, weights),
        "reduction_pooled": reduction(panel, weigh.gap_pooled(panel.cells, directions)),
        "reduction_worst": _plain_factor(*(panel.correct[m].mean() - panel.accuracies[m].min() for m in (FT, MODEL))),
        "reduction_fpr": reduction(panel, weigh.fpr_gap(panel.cells)),
        "reduction_range": _plain_factor(*(np.ptp(panel.accuracies[m]) for m in (FT, MODEL))),
    }


def loss(panel: Panel, weights: weigh.Weights) -> Entry:
    """Accuracy of FT minus that of the model, in points, with its one-sided 95 % upper bound.

    `claim` says what "under 2 points" comes to: confirmed (upper bound below), nominal (value below) or not met.
    """
    difference = panel.difference(weights, FT, MODEL)
    if weights is None or difference is None:
        return None
    points = 100 * float(weigh.value(weights, panel.accuracies[FT] - panel.accuracies[MODEL]))
    upper = 100 * panel.upper_95(weights, FT, MODEL)
    claim = "confirmed" if upper < TOLERANCE_PP else "nominal" if points < TOLERANCE_PP else "not met"
    low, high = difference
    return {"value": points, "interval": (100 * low, 100 * high), "upper95": upper, "claim": claim}


def reduction(panel: Panel, weights: weigh.Weights) -> Entry:
    """R = |gap_FT| / |gap|: None if FT's gap may be 0; no value, and no upper limit, if the model's gap may be 0.

    `overshoot`: the model's gap has the opposite sign and its interval excludes 0.
    """
    top, bottom = panel.value(weights, FT), panel.value(weights, MODEL)
    top_interval, bottom_interval = panel.interval(weights, FT), panel.interval(weights, MODEL)
    if weights is None or top is None or bottom is None or top_interval is None or covers_zero(top_interval):
        return None
    interval = _reduction_interval(panel, weights)
    if covers_zero(bottom_interval):
        return {"value": None, "interval": (interval[0], math.inf), "overshoot": False}
    return {"value": abs(top) / abs(bottom), "interval": interval, "overshoot": top * bottom < 0}


def retention(panel: Panel, weights: weigh.Weights) -> Entry:
    """(x − x_base) / (x_FT − x_base) of a metric x; None if the interval of the denominator covers 0."""
    if weights is None or len(panel.correct) <= BASE or covers_zero(panel.difference(weights, FT, BASE)):
        return None
    base = panel.track(weights, BASE)
    share = quotient(panel.track(weights, MODEL) - base, panel.track(weights, FT) - base)
    return entry(share[0], percentile_interval(share[1:]))


def magnitude_ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """|top| / |bottom| elementwise; infinite over 0, but 1 for 0 / 0."""
    top, bottom = np.abs(top), np.abs(bottom)
    return np.where((top == 0) & (bottom == 0), 1.0, quotient(top, bottom))


def quotient(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """top / bottom elementwise; not finite over 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return top / bottom


def entry(value: float, interval: Interval | None) -> dict[str, Any]:
    """A value with its interval, which is None where neither limit is finite."""
    known = interval is not None and any(map(math.isfinite, interval))
    return {"value": float(value), "interval": interval if known else None}


def _plain_factor(top: float, bottom: float) -> Entry:
    """The factor under a definition that has no percentile interval; None over 0 and with an empty cell."""
    return None if bottom == 0 or not math.isfinite(top / bottom) else entry(top / bottom, None)


def _reduction_interval(panel: Panel, weights: np.ndarray) -> Interval:
    """Bootstrap of the ratio; from two MOVER intervals if a cell is at 0 or 1, unless the models agree throughout."""
    same = np.array_equal(panel.correct[FT], panel.correct[MODEL])
    if same or not panel.at_edge(weights, FT, MODEL):
        return percentile_interval(magnitude_ratio(panel.track(weights, FT), panel.track(weights, MODEL))[1:])
    top, bottom = (float(weigh.value(weights, panel.accuracies[model])) for model in (FT, MODEL))
    top_interval, bottom_interval = panel.interval(weights, FT), panel.interval(weights, MODEL)
    assert top_interval is not None and bottom_interval is not None
    return ratio_interval(top, top_interval, bottom, bottom_interval)
