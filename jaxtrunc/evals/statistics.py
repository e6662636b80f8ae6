"""One split's truth with its cells and resamples: every interval of the study comes from here."""

import zlib
from collections.abc import Sequence
from functools import cache, cached_property

import numpy as np
from jaxtyping import Bool, Float

from jaxtrunc.evals.bootstrap import DRAWS, Resamples, percentile_interval
from jaxtrunc.evals.cells import Cells, Weights, value
from jaxtrunc.evals.intervals import ONE_SIDED, Interval, linear_interval, paired_interval
from jaxtrunc.evals.truth import MISSING, Truth


class Statistics:
    """Cells and paired resamples of one split; a partition is named by an attribute, or None for classes alone."""

    def __init__(self, truth: Truth, *, draws: int = DRAWS, seed: int = 0):
        self.truth, self.draws, self._seed = truth, draws, seed
        self.cells = cache(self._cells)
        self.resamples = cache(self._resamples)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.truth.class_names)

    def panel(self, attribute: str | None, predictions: Sequence[np.ndarray]) -> "Panel":
        """Several models side by side on one partition, on the same resamples; only examples that have the attribute."""
        correct = np.stack([np.asarray(row) == self.truth.labels for row in predictions])
        return Panel(self.cells(attribute), self.resamples(attribute), correct[:, self._present(attribute)])

    def _cells(self, attribute: str | None) -> Cells:
        present, labels = self._present(attribute), np.asarray(self.truth.labels)
        values = None if attribute is None else np.asarray(self.truth.attributes[attribute])[present]
        return Cells.of(labels[present], self.classes, values)

    def _present(self, attribute: str | None) -> np.ndarray | slice:
        """Which examples have the attribute."""
        return slice(None) if attribute is None else np.asarray(self.truth.attributes[attribute]) != MISSING

    def _resamples(self, attribute: str | None) -> Resamples:
        cells = self.cells(attribute)
        seed = zlib.crc32(f"{self._seed}/{attribute or ''}".encode())
        return Resamples(cells.index, cells.size, draws=self.draws, seed=seed)


class Panel:
    """K models on one partition: metrics given as weights over cells, with limits that respect the pairing."""

    def __init__(self, cells: Cells, resamples: Resamples, correct: Bool[np.ndarray, "K n"]):
        self.cells, self.correct, self._resamples = cells, correct, resamples
        self.accuracies: Float[np.ndarray, "K S"] = np.stack([cells.accuracies(row) for row in correct])

    @cached_property
    def rates(self) -> Float[np.ndarray, "B+1 K S"]:
        """Cell accuracies on the sample (row 0) and on each resample."""
        return self._resamples.rates(self.correct)

    def track(self, weights: np.ndarray, model: int) -> Float[np.ndarray, " B+1"]:
        """One model's metric on the sample (row 0) and on each resample."""
        return value(weights, self.rates[:, model])

    def value(self, weights: Weights, model: int = 0) -> float | None:
        """One model's metric; None where it is undefined."""
        return None if weights is None else float(value(weights, self.accuracies[model]))

    def interval(self, weights: Weights, model: int = 0) -> Interval | None:
        """95 % limits of one metric: percentile bootstrap, or MOVER if a cell of it is at 0 or 1."""
        if weights is None:
            return None
        if self.at_edge(weights, model):
            return linear_interval(weights, self.accuracies[model], self.cells.counts)
        return percentile_interval(self.track(weights, model)[1:])

    def difference(self, weights: Weights, first: int, second: int) -> Interval | None:
        """95 % limits of a metric of one model minus that of another."""
        if weights is None:
            return None
        if self.at_edge(weights, first, second):
            return paired_interval(weights, self.cells.index, self.correct[first], self.correct[second])
        return percentile_interval(self._gain(weights, first, second))

    def upper_95(self, weights: np.ndarray, first: int, second: int) -> float:
        """One-sided 95 % upper bound of a metric of one model minus that of another."""
        if self.at_edge(weights, first, second):
            return paired_interval(weights, self.cells.index, self.correct[first], self.correct[second], ONE_SIDED)[1]
        return float(np.quantile(self._gain(weights, first, second), 0.95))

    def at_edge(self, weights: np.ndarray, *models: int) -> bool:
        """Whether a cell that takes part is at 0 or 1 in one of the models, where a bootstrap sees no spread."""
        used = self.accuracies[np.asarray(models)][:, weights != 0]
        return bool(((used == 0) | (used == 1)).any())

    def _gain(self, weights: np.ndarray, first: int, second: int) -> np.ndarray:
        return (self.track(weights, first) - self.track(weights, second))[1:]
