"""What one set of predictions comes to: overall metrics, one block per attribute, worst groups.

Every block is `{"metrics": {name: number or None}, "intervals": {name: (low, high) or None}}`, fractions throughout.
"""


from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jaxtrunc.evals import cells as weigh
from jaxtrunc.evals.intervals import linear_interval, wilson
from jaxtrunc.evals.statistics import Panel
from jaxtrunc.evals.truth import Truth

Block = dict[str, Any]
PERMUTATIONS = 200
ATTRIBUTE_METRICS = ("gap", "gap_pooled", "fpr_gap", "group_mean", "accuracy_training_weighted", "worst_group_accuracy",
                     "gap_worst", "gap_range", "gap_range_permuted")


def overall(panel: Panel, truth: Truth, predictions: Int[np.ndarray, " n"]) -> Block:
    """Accuracy (Wilson), balanced accuracy (bootstrap or MOVER), share of predictions per class (Wilson)."""
    n = len(predictions)
    proportions = {"accuracy": float(panel.correct[0].mean())}
    for index, name in enumerate(truth.class_names):
        proportions[f"predicted_share_{name}"] = float((predictions == index).mean())
    weights = weigh.balanced_accuracy(panel.cells)
    metrics = proportions | {"balanced_accuracy": panel.value(weights)}
    intervals = {name: _wilson(share, n) for name, share in proportions.items()}
    return {"metrics": metrics, "intervals": intervals | {"balanced_accuracy": panel.interval(weights)}}


def attribute_block(panel: Panel, truth: Truth, attribute: str, worst: int | None) -> Block:
    """All metrics of one attribute, its cells as `groups`, and the classes that the gap leaves out.

    Args:
      panel: the evaluated model first; cells by class and this attribute.
      worst: the cell that was worst on the validation split; None if there is none.
    """
    directions = truth.directions.get(attribute)
    linear = {
        "gap": weigh.gap(panel.cells, directions),
        "gap_pooled": weigh.gap_pooled(panel.cells, directions),
        "fpr_gap": weigh.fpr_gap(panel.cells),
        "group_mean": weigh.group_mean(panel.cells),
        "accuracy_training_weighted": weigh.training_weighted(panel.cells, truth.training_counts.get(attribute)),
    }
    block = _extremes(panel, worst)
    block["metrics"] = {name: panel.value(weights) for name, weights in linear.items()} | block["metrics"]
    block["intervals"] = {name: panel.interval(weights) for name, weights in linear.items()} | block["intervals"]
    left_out = [] if directions is None else [truth.class_names[c] for c in np.flatnonzero(directions == 0)]
    return block | {"groups": _groups(panel, truth, attribute), "left_out": left_out}


def worst_cell(panel: Panel) -> int | None:
    """The cell of lowest accuracy; None if one is empty."""
    accuracies = panel.accuracies[0]
    return None if np.isnan(accuracies).any() else int(accuracies.argmin())


def wilds(truth: Truth, predictions: np.ndarray, worst: int | None) -> Block:
    """Worst accuracy over the overlapping groups (class, attribute_j = 1), with the limits of the group `worst`."""
    accuracies, counts = wilds_groups(truth, predictions)
    known = len(counts) > 0 and bool((counts > 0).all())
    name = "worst_group_accuracy_wilds"
    interval = _wilson(accuracies[worst], counts[worst]) if known and worst is not None else None
    return {"metrics": {name: float(accuracies.min()) if known else None}, "intervals": {name: interval}}


def wilds_groups(truth: Truth, predictions: np.ndarray) -> tuple[Float[np.ndarray, " G"], Int[np.ndarray, " G"]]:
    """Accuracy and size of each group (class, attribute_j = 1), attributes outermost (WILDS, Koh et al. 2021).

    An attribute that is others taken together makes no group of its own: WILDS's 16 are of the eight identities.
    """
    correct = predictions == truth.labels
    classes = range(len(truth.class_names))
    single = [values for name, values in truth.attributes.items() if name not in truth.unions]
    members = [(truth.labels == c) & (values == 1) for values in single for c in classes]
    accuracies = [correct[group].mean() if group.any() else np.nan for group in members]
    return np.array(accuracies, float), np.array([group.sum() for group in members], int)


def worst_wilds(truth: Truth, predictions: np.ndarray) -> int | None:
    """The overlapping group of lowest accuracy; None if one is empty or there are none."""
    accuracies, _ = wilds_groups(truth, predictions)
    return None if np.isnan(accuracies).any() or not len(accuracies) else int(accuracies.argmin())


def calibration_error(scores: Float[np.ndarray, "n C"], labels: Int[np.ndarray, " n"], bins: int = 15) -> float:
    """Expected calibration error of the restricted softmax over equal-width bins (Guo et al. 2017, eq. 3)."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    confidence = shifted.max(axis=1) / shifted.sum(axis=1)
    correct = scores.argmax(axis=1) == labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    surplus = np.bincount(index, weights=correct - confidence, minlength=bins)
    return float(np.abs(surplus).sum() / len(labels))


def _extremes(panel: Panel, worst: int | None) -> Block:
    """Worst group and range: Wilson limits of a group chosen elsewhere, since a percentile interval would not cover."""
    accuracies, counts = panel.accuracies[0], panel.cells.counts
    names = ("worst_group_accuracy", "gap_worst", "gap_range", "gap_range_permuted")
    if np.isnan(accuracies).any():
        return {"metrics": dict.fromkeys(names), "intervals": dict.fromkeys(names)}
    low, high = float(accuracies.min()), float(accuracies.max())
    found = (low, float(panel.correct[0].mean()) - low, high - low, permuted_range(panel))
    intervals: dict[str, Any] = dict.fromkeys(names)
    if worst is not None:
        intervals["worst_group_accuracy"] = _wilson(accuracies[worst], counts[worst])
        weights = weigh.shortfall(panel.cells, worst)
        intervals["gap_worst"] = None if weights is None else linear_interval(weights, accuracies, counts)
    return {"metrics": dict(zip(names, found, strict=True)), "intervals": intervals}


def permuted_range(panel: Panel) -> float:
    """Mean of max − min over cells when the attribute is permuted within each class: what chance alone gives."""
    counts = panel.cells.by_class()  # (C, 2)
    right = np.round(panel.accuracies[0].reshape(counts.shape) * counts).astype(int).sum(axis=1)
    total = counts.sum(axis=1)
    draw = np.random.default_rng(0).hypergeometric
    with_value = draw(right, total - right, counts[:, 1], size=(PERMUTATIONS, len(counts)))
    rates = np.concatenate([(right - with_value) / counts[:, 0], with_value / counts[:, 1]], axis=1)
    return float((rates.max(axis=1) - rates.min(axis=1)).mean())


def _groups(panel: Panel, truth: Truth, attribute: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for cell, (accuracy, n) in enumerate(zip(panel.accuracies[0], panel.cells.counts, strict=True)):
        rows.append({
            "label": truth.class_names[cell // 2],
            "attributes": {attribute: cell % 2},
            "n": int(n),
            "accuracy": float(accuracy) if n else None,
            "interval": _wilson(accuracy, n) if n else None,
        })
    return rows


def _wilson(p: float, n: int) -> tuple[float, float]:
    low, high = wilson(p, n)
    return float(low), float(high)


