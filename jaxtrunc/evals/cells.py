"""Cells (class, attribute value) of a split, and the metrics that are weighted sums of cell accuracies.

Writing a metric as a weight vector gives its value, its bootstrap and its MOVER interval from the same line. Weights
are None where a cell the metric needs is empty.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

Weights = Float[np.ndarray, " S"] | None


@dataclass(frozen=True)
class Cells:
    """A partition of the examples: by class, or by class and one attribute (cell = class · 2 + value).

    Attributes:
      index: (n,) the cell of each example.
      classes: number of classes.
      grouped: whether an attribute takes part.
    """

    index: Int[np.ndarray, " n"]
    classes: int
    grouped: bool

    @classmethod
    def of(cls, labels: np.ndarray, classes: int, attribute: np.ndarray | None) -> "Cells":
        """Cells by class alone (`attribute` None) or by class and attribute."""
        return cls(labels if attribute is None else labels * 2 + attribute, classes, attribute is not None)

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.classes * (2 if self.grouped else 1)

    @property
    def counts(self) -> Int[np.ndarray, " S"]:
        """Examples per cell."""
        return np.bincount(self.index, minlength=self.size)

    def accuracies(self, correct: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " S"]:
        """Accuracy per cell; NaN where it is empty."""
        with np.errstate(invalid="ignore"):
            return np.bincount(self.index, weights=correct, minlength=self.size) / self.counts

    def by_class(self) -> Int[np.ndarray, "C v"]:
        """Counts as a table, one row per class."""
        return self.counts.reshape(self.classes, -1)


def value(weights: np.ndarray, accuracies: Float[np.ndarray, "*k S"]) -> Float[np.ndarray, "*k"]:
    """Σ w·A over the cells that take part (an empty cell's NaN has weight 0)."""
    used = weights != 0
    return accuracies[..., used] @ weights[used]


def balanced_accuracy(cells: Cells) -> Weights:
    """Mean over classes of the accuracy within the class."""
    table = cells.by_class()
    totals = table.sum(axis=1, keepdims=True)
    return None if (totals == 0).any() else (table / totals / cells.classes).ravel()


def gap(cells: Cells, directions: np.ndarray | None) -> Weights:
    """Mean over classes of A(y, aligned) − A(y, conflicting); classes with direction 0 are left out."""
    if directions is None or not directions.any():
        return None
    table = np.stack([-directions, directions], axis=1) / np.count_nonzero(directions)
    return _defined(cells, table.ravel())


def gap_pooled(cells: Cells, directions: np.ndarray | None) -> Weights:
    """Accuracy on all aligned minus accuracy on all conflicting examples."""
    if directions is None:
        return None
    counts = cells.counts
    sides = np.stack([-directions, directions], axis=1).ravel()
    aligned, conflicting = counts * (sides > 0), counts * (sides < 0)
    if not aligned.any() or not conflicting.any():
        return None
    return aligned / aligned.sum() - conflicting / conflicting.sum()


def fpr_gap(cells: Cells) -> Weights:
    """False-positive rate with the attribute minus without; two classes only, the second is the positive one."""
    return None if cells.classes != 2 else _defined(cells, np.array([1.0, -1.0, 0.0, 0.0]))


def group_mean(cells: Cells) -> Weights:
    """Unweighted mean over cells."""
    return _defined(cells, np.full(cells.size, 1 / cells.size))


def training_weighted(cells: Cells, training_counts: np.ndarray | None) -> Weights:
    """Accuracy weighted by each cell's share of the training split."""
    if training_counts is None or not training_counts.any():
        return None
    return _defined(cells, training_counts.ravel() / training_counts.sum())


def shortfall(cells: Cells, worst: int) -> Weights:
    """Overall accuracy minus the accuracy of one cell."""
    return _defined(cells, cells.counts / cells.counts.sum() - np.eye(cells.size)[worst])


def _defined(cells: Cells, weights: np.ndarray) -> Weights:
    return None if (cells.counts[weights != 0] == 0).any() else weights
