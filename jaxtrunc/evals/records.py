"""One JSON record per evaluated level: what it was, what came out, and the predictions to recompute everything from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jaxtrunc.core.jsonio import strict
from jaxtrunc.evals import comparison, metrics
from jaxtrunc.evals.accuracy import accuracy_panel
from jaxtrunc.evals.statistics import Statistics

LEVEL_KEYS = ("operator", "k", "param", "seed", "norm_matched", "residual", "scope")
_OTHER_KEYS = ("split", "dtype", "n", "metrics", "intervals", "groups", "per_attribute", "comparison", "roundoff",
               "max_norm_factor", "samples", "predictions")
_COMPARED = ("loss_pp", "reduction", "ret_acc", "ret_gap")
_FIRST_SYMBOL = ord("0")


@dataclass(frozen=True)
class Worst:
    """The worst groups of one model on the validation split: a cell per attribute, an overlapping (WILDS) group."""

    cells: Mapping[str, int | None]
    overlapping: int | None


def worst_groups(statistics: Statistics, predictions: Int[np.ndarray, " n"]) -> Worst:
    """Which groups are worst on this split; chosen on validation, so that their interval on test is honest."""
    truth = statistics.truth
    cells = {name: metrics.worst_cell(statistics.panel(name, [predictions])) for name in truth.attributes}
    return Worst(cells, metrics.worst_wilds(truth, predictions))


def make_record(
    level: Mapping[str, Any],
    statistics: Statistics,
    scores: Float[np.ndarray, "n C"],
    mass: Float[np.ndarray, " n"],
    *,
    dtype: str,
    ft: Int[np.ndarray, " n"] | None = None,
    base: Int[np.ndarray, " n"] | None = None,
    worst: Worst | None = None,
    extras: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A record as results.json has it, plus `predictions`.

    Args:
      level: operator, k, param, seed, norm_matched, residual, scope (absent: None, False, None).
      statistics: of the split evaluated. One without attributes gives a record without group metrics.
      scores: float32, one column per class; mass: probability left on the label words.
      ft, base: predictions of the endpoints, as far as known; without FT nothing is compared.
      worst: worst groups of this model on validation.
      extras: roundoff, max_norm_factor, samples and other facts about how it was made.
    """
    predictions = scores.argmax(axis=1)
    record = {name: level.get(name) for name in LEVEL_KEYS} | {"norm_matched": bool(level.get("norm_matched"))}
    record |= {"split": statistics.truth.split, "dtype": dtype, "n": len(predictions)}
    described = describe(statistics, predictions, ft=ft, base=base, worst=worst)
    described["metrics"] |= {
        "verbalizer_mass": float(mass.mean()),
        "calibration_error": metrics.calibration_error(scores, np.asarray(statistics.truth.labels)),
    }
    record |= described | {"roundoff": None, "max_norm_factor": None, "samples": None} | dict(extras or {})
    return strict(record | {"predictions": encode_predictions(predictions)})


def describe(
    statistics: Statistics,
    predictions: Int[np.ndarray, " n"],
    *,
    ft: Int[np.ndarray, " n"] | None = None,
    base: Int[np.ndarray, " n"] | None = None,
    worst: Worst | None = None,
) -> dict[str, Any]:
    """`metrics`, `intervals`, `groups`, `per_attribute` and `comparison` of one set of predictions."""
    truth = statistics.truth
    models = [predictions] + [row for row in (ft, base) if row is not None and ft is not None]
    blocks = {name: _attribute(statistics, name, models, worst) for name in truth.attributes}
    first = blocks.get(truth.primary or "", {"metrics": dict.fromkeys(metrics.ATTRIBUTE_METRICS), "intervals": {}})
    overlapping = metrics.wilds(truth, predictions, worst and worst.overlapping)
    parts = [metrics.overall(statistics.panel(None, models), truth, predictions), first, overlapping]
    compared = comparison.accuracy_entries(*accuracy_panel(statistics, models)) if ft is not None else {}
    if ft is not None and truth.primary is not None:
        compared |= first["comparison"]
    return {
        "metrics": _merged(parts, "metrics"),
        "intervals": _merged(parts, "intervals"),
        "groups": first.get("groups", []),
        "per_attribute": blocks,
        "comparison": dict.fromkeys(_COMPARED) | compared,
    }


def is_record(value: Any) -> bool:
    """Whether a line read from disk is a whole record."""
    return (isinstance(value, dict) and value.keys() >= {*LEVEL_KEYS, *_OTHER_KEYS} and isinstance(value["predictions"], str)
            and isinstance(value["metrics"], dict) and value["n"] == len(value["predictions"]))


def record_key(record: Mapping[str, Any]) -> tuple:
    """What identifies a record: level, split and dtype."""
    level = [record.get(name) for name in LEVEL_KEYS]
    level[LEVEL_KEYS.index("norm_matched")] = bool(record.get("norm_matched"))
    return (*level, record.get("split"), record.get("dtype"))


def encode_predictions(predictions: Int[np.ndarray, " n"]) -> str:
    """One character per example: '0' for class 0, and so on through the code points."""
    return "".join(chr(_FIRST_SYMBOL + int(index)) for index in predictions)


def decode_predictions(text: str) -> Int[np.ndarray, " n"]:
    """The inverse of `encode_predictions`."""
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4").astype(np.int64) - _FIRST_SYMBOL


def _attribute(statistics: Statistics, name: str, models: list[np.ndarray], worst: Worst | None) -> dict[str, Any]:
    panel, truth = statistics.panel(name, models), statistics.truth
    block = metrics.attribute_block(panel, truth, name, worst.cells.get(name) if worst else None)
    if len(models) > 1:
        block["comparison"] = comparison.gap_entries(panel, truth.directions.get(name))
    return block


def _merged(parts: list[dict[str, Any]], key: str) -> dict[str, Any]:
    return {name: value for part in parts for name, value in part[key].items()}
