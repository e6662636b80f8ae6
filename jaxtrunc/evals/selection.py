"""The choice of k without group labels."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jaxtrunc.evals import cells as weigh
from jaxtrunc.evals.accuracy import accuracy_panel
from jaxtrunc.evals.comparison import TOLERANCE_PP
from jaxtrunc.evals.curves import curve_name
from jaxtrunc.evals.records import decode_predictions
from jaxtrunc.evals.statistics import Panel, Statistics

Record = Mapping[str, Any]
DATA_FREE = ("energy", "mp_edge", "dg_hard")
ROUNDING = 1e-9  # points: a loss of exactly the tolerance is computed as a little more or less


def select_k(statistics: Statistics, records: Sequence[Record], full_rank: int,
             tolerance_pp: float = TOLERANCE_PP) -> dict[str, Any] | None:
    """The `selection` of results.json from validation records; None if there is nothing to choose from.

    `k` (rule noninferior) is the smallest k of the grid such that the one-sided 95 % upper bound of the validation loss
    is below the tolerance at k and at every larger k; `point_k` the smallest k whose loss itself is not above it. Both are
    the full rank if no smaller k will do; k = 0 means that fine-tuning gained nothing measurable. `data_free` lists what the
    rules without any data (energy, mp_edge, dg_hard) lose there.

    Args:
      statistics: of the validation split, without attributes.
      records: of the validation split, of one residual policy and scope; FT among them.
      full_rank: the largest numerical rank over matrices; k from there on is FT itself.
      tolerance_pp: the loss, in points, that a cut may cost.
    """
    assert not statistics.truth.attributes, "the selection of k must not see group labels"
    levels = _levels(records)
    ft = next((record for record in records if record["operator"] == "ft"), None)
    smaller = sorted(k for k in levels if k < full_rank)
    if ft is None or not any(record["operator"] == "top_k" for record in levels.values()):
        return None
    chosen = [*(levels[k] for k in smaller), ft]
    panel, weights = accuracy_panel(statistics, [decode_predictions(record["predictions"]) for record in chosen])
    full = min((k for k in levels if k >= full_rank), default=full_rank)
    losses, bounds = _losses(panel, weights)
    return {
        "rule": "noninferior",
        "k": _smallest_safe(smaller, bounds, full, tolerance_pp),
        "point_k": next((k for k, loss in zip(smaller, losses, strict=True) if loss <= tolerance_pp + ROUNDING), full),
        "tolerance_pp": tolerance_pp,
        "split": statistics.truth.split,
        "data_free": _data_free(statistics, records, ft),
        "records": [without_predictions(record) for record in records],
    }


def oracle_k(records: Sequence[Record]) -> int | None:
    """The k of least |gap| among top_k records of the test split with a loss below the tolerance: uses group labels."""
    fit = [record for record in _levels(records).values() if record["k"] and _keeps_accuracy(record)]
    return min(fit, key=lambda record: abs(record["metrics"]["gap"]))["k"] if fit else None


def without_predictions(record: Record) -> dict[str, Any]:
    """A record as results.json holds it."""
    return {name: value for name, value in record.items() if name != "predictions"}


def _data_free(statistics: Statistics, records: Sequence[Record], ft: Record) -> list[dict[str, Any]]:
    """The rules that read k off each spectrum alone, as far as the sweep has them, with their validation loss."""
    rules = [record for record in records if record["operator"] in DATA_FREE]
    panel, weights = accuracy_panel(statistics, [decode_predictions(record["predictions"]) for record in (*rules, ft)])
    losses, bounds = _losses(panel, weights)
    return [{"rule": record["operator"], "param": record["param"], "loss_pp": loss, "upper95": bound}
            for record, loss, bound in zip(rules, losses, bounds, strict=True)]


def _levels(records: Sequence[Record]) -> dict[int, Record]:
    """The plain top_k records by k; base stands for k = 0 where that was not evaluated."""
    base = [(0, record) for record in records if record["operator"] == "base"]
    return dict([*base, *((r["k"], r) for r in records if curve_name(r) == "top_k" and r["k"] is not None)])


def _losses(panel: Panel, weights: weigh.Weights) -> tuple[list[float], list[float]]:
    """Loss in points and its one-sided upper bound for every model of the panel against the last, which is FT."""
    ft = len(panel.correct) - 1
    if weights is None:
        return [math.inf] * ft, [math.inf] * ft
    losses = [100 * float(weigh.value(weights, panel.accuracies[ft] - panel.accuracies[i])) for i in range(ft)]
    return losses, [100 * panel.upper_95(weights, ft, i) for i in range(ft)]


def _smallest_safe(ks: Sequence[int], bounds: Sequence[float], full: int, tolerance_pp: float) -> int:
    chosen = full
    for k, bound in zip(reversed(ks), reversed(bounds), strict=True):
        if bound >= tolerance_pp:
            break
        chosen = k
    return chosen


def _keeps_accuracy(record: Record) -> bool:
    loss = record["comparison"]["loss_pp"]
    return loss is not None and loss["value"] < TOLERANCE_PP and record["metrics"]["gap"] is not None
