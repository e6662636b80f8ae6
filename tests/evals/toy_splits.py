"""Splits and predictions with known cell accuracies, for the tests of the statistics."""

import numpy as np

from jaxtrunc.evals import Truth, make_record
from jaxtrunc.evals.cells import Cells
from jaxtrunc.evals.statistics import Statistics

CLASSES = ("negative", "positive")


def make_truth(per_cell=100, split="test", classes=CLASSES, directions=(-1, 1), sizes=None) -> Truth:
    """Binary by default: cells (y, a) of equal size, or of `sizes` in the order (0,0), (0,1), (1,0), …"""
    sizes = sizes or [per_cell] * (2 * len(classes))
    cell = np.repeat(np.arange(len(sizes)), sizes)
    return Truth(split, cell // 2, classes, {"marker": cell % 2}, {"marker": np.array(directions)}, {"marker": None})


def predict(truth: Truth, rates, seed=0, flips=0) -> np.ndarray:
    """Predictions whose accuracy in cell i is rates[i] (rounded to the cell), on a seeded order within each cell.

    The same seed makes a better model right wherever a worse one is; `flips` swaps that many hits and misses a cell.
    """
    cells = Cells.of(truth.labels, len(truth.class_names), truth.attributes["marker"])
    rng = np.random.default_rng(seed)
    predictions = (truth.labels + 1) % len(truth.class_names)
    for cell, rate in enumerate(rates):
        members = rng.permutation(np.flatnonzero(cells.index == cell))
        hits = round(rate * len(members))
        right = np.r_[members[:hits], members[hits:hits + flips]] if flips else members[:hits]
        predictions[right] = truth.labels[right]
        if flips:
            lost = members[:flips]
            predictions[lost] = (truth.labels[lost] + 1) % len(truth.class_names)
    return predictions


def scores_of(predictions: np.ndarray, classes: int = 2) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[predictions] * 4


def record(statistics: Statistics, operator: str, predictions: np.ndarray, **level) -> dict:
    """A record without comparison."""
    mass = np.ones(len(predictions), np.float32)
    return make_record({"operator": operator, **level}, statistics, scores_of(predictions, statistics.classes), mass,
                       dtype="float32")
