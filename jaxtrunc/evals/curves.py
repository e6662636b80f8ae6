"""Accuracy and gap of every record on the same resamples: curves, decoupling, matched accuracy.

Rows 0 of all arrays are the sample itself, rows 1… the resamples. Draws at different k of one seed belong together, so
operators with seeds are averaged over seeds first and the seeds are resampled as a whole, the same for every k.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxtrunc.evals import cells as weigh
from jaxtrunc.evals.accuracy import accuracy_weights
from jaxtrunc.evals.bootstrap import percentile_interval
from jaxtrunc.evals.comparison import entry, quotient
from jaxtrunc.evals.intervals import Interval, covers_zero, linear_interval, paired_interval
from jaxtrunc.evals.records import decode_predictions
from jaxtrunc.evals.statistics import Statistics

Record = Mapping[str, Any]
Point = tuple[int | None, float | None]  # k, parameter
CONTROLS = ("bottom_k", "drop_top_k", "random_k", "interpolate", "flatten_k", "sparsify", "noise", "lora")
LEAST_SEEDS = 5
MATCHED_WITHIN = 0.01
_GROWING = {0.0: "base", 1.0: "ft"}
ANCHORS: Mapping[str, Mapping[float, str]] = {
    **dict.fromkeys(("bottom_k", "random_k", "interpolate", "sparsify"), _GROWING),
    **{f"norm-matched {name}": _GROWING for name in ("bottom_k", "random_k", "interpolate")},
    "drop_top_k": {0.0: "ft", 1.0: "base"},
    "flatten_k": {0.0: "base"}, "lora": {0.0: "base"}, "noise": {1.0: "ft"},
}
"""Curve → share of components (or of the update) → the end point that it is: settings that need no evaluation of their own."""


@dataclass(frozen=True)
class Track:
    """A quantity on the sample (row 0) and on each resample; not `sound` if it rests on too few seeds."""

    rows: Float[np.ndarray, " B+1"]
    sound: bool = True

    def __sub__(self, other: "Track") -> "Track":
        return Track(self.rows - other.rows, self.sound and other.sound)

    def entry(self) -> dict[str, Any]:
        """Value and percentile interval as a file has them; no interval if unsound."""
        return entry(self.rows[0], percentile_interval(self.rows[1:]) if self.sound else None)


class Curves:
    """The records of one split, by curve (an operator, plain or norm-matched) and by point.

    Args:
      statistics: of the split; without attributes there is accuracy only.
      records: of that split, of one residual policy and scope; `base` and `ft` among them.
    """

    def __init__(self, statistics: Statistics, records: Sequence[Record]):
        truth = statistics.truth
        self.panel = statistics.panel(truth.primary, [decode_predictions(record["predictions"]) for record in records])
        self._accuracy = accuracy_weights(truth, self.panel.cells)
        self._gap = weigh.gap(self.panel.cells, truth.directions.get(truth.primary)) if truth.primary else None
        self._draws = statistics.draws
        self.ends = {record["operator"]: i for i, record in enumerate(records) if record["operator"] in ("base", "ft")}
        self._columns = _columns(records)
        self._anchors = {name: self._ends_of(name) for name in self._columns}

    @property
    def names(self) -> list[str]:
        """Names of the curves, such as `top_k` or `norm-matched random_k`."""
        return list(self._columns)

    @property
    def has_gap(self) -> bool:
        """Whether the primary gap of this split is defined."""
        return self._gap is not None

    def points(self, name: str) -> list[Point]:
        """The points of a curve, in increasing order."""
        return sorted(self._columns.get(name, {}), key=lambda point: (point[0] or 0, point[1] or 0.0))

    def anchors(self, name: str) -> list[Point]:
        """The ends of a curve: settings at which it is the base or the fine-tuned model."""
        return list(self._anchors.get(name, {}))

    def accuracy(self, name: str, point: Point) -> Track | None:
        """Accuracy at a point, averaged over seeds."""
        return self._averaged(self._accuracy, name, point)

    def gap(self, name: str, point: Point) -> Track | None:
        """Signed primary gap at a point, averaged over seeds."""
        return self._averaged(self._gap, name, point)

    def edge_interval(self, terms: Sequence[tuple[float, str, Point]]) -> Interval | None:
        """MOVER limits of Σ c · gap over points (c, curve, point), where a cell of one is at 0 or 1; else None.

        Also None where seeds take part, whose spread only the resamples have, and where all points answer alike.
        """
        columns = [self._at(name, point) for _, name, point in terms]
        if self._gap is None or any(None not in found for found in columns):
            return None
        models, shares = [found[None] for found in columns], [share for share, _, _ in terms]
        right = self.panel.correct[models]
        if (right == right[0]).all() or not self.panel.at_edge(self._gap, *models):
            return None
        if len(models) == 2 and shares[0] == -shares[1]:
            return paired_interval(shares[0] * self._gap, self.panel.cells.index, right[0], right[1])
        weights = np.concatenate([share * self._gap for share in shares])
        return linear_interval(weights, self.panel.accuracies[models].ravel(), np.tile(self.panel.cells.counts, len(models)))

    def gain(self) -> dict[str, Any] | None:
        """Accuracy of FT minus that of base."""
        return self._end_difference(self._accuracy)

    def ft_gap(self) -> dict[str, Any] | None:
        """The gap of FT."""
        value = self.panel.value(self._gap, self.ends["ft"])
        return None if value is None else entry(value, self.panel.interval(self._gap, self.ends["ft"]))

    def grid(self, name: str, full_rank: int) -> list[Point]:
        """The points of a curve that decoupling is taken over: every swept k with 0 < k < `full_rank`, each with the same weight.

        Fractions are no such points: there k differs from matrix to matrix.

        Args:
          full_rank: the largest numerical rank over matrices; from there on nothing is truncated.
        """
        return [(k, param) for k, param in self.points(name) if k and k < full_rank]

    def decoupling(self, name: str, points: Sequence[Point]) -> Track | None:
        """Mean of ret_acc − ret_gap over `points` of a curve.

        None without points, and where fine-tuning is not shown to have moved accuracy and gap.
        """
        differences = [self._end_difference(weights) for weights in (self._accuracy, self._gap)]
        if not points or any(end is None or covers_zero(end["interval"]) for end in differences):
            return None
        parts = [self._retained(self._accuracy, name, p) - self._retained(self._gap, name, p) for p in points]
        return Track(np.mean([part.rows for part in parts], axis=0), all(part.sound for part in parts))

    def _retained(self, weights: weigh.Weights, name: str, point: Point) -> Track:
        here = self._averaged(weights, name, point)
        assert here is not None and weights is not None
        base, ft = (self.panel.track(weights, self.ends[end]) for end in ("base", "ft"))
        return Track(quotient(here.rows - base, ft - base), here.sound)

    def _end_difference(self, weights: weigh.Weights) -> dict[str, Any] | None:
        if weights is None:
            return None
        ft, base = self.ends["ft"], self.ends["base"]
        value = float(weigh.value(weights, self.panel.accuracies[ft] - self.panel.accuracies[base]))
        return entry(value, self.panel.difference(weights, ft, base))

    def _averaged(self, weights: weigh.Weights, name: str, point: Point) -> Track | None:
        if weights is None:
            return None
        columns = self._at(name, point)
        rows = np.stack([self.panel.track(weights, column) for column in columns.values()], axis=1)
        if None in columns:
            return Track(rows[:, 0])
        resampled = np.take_along_axis(rows, self._seed_draws(len(columns)), axis=1)
        return Track(resampled.mean(axis=1), sound=len(columns) >= LEAST_SEEDS)

    def _ends_of(self, name: str) -> dict[Point, dict[int | None, int]]:
        return {(None, share): {None: self.ends[end]} for share, end in ANCHORS.get(name, {}).items() if end in self.ends}

    def _at(self, name: str, point: Point) -> dict[int | None, int]:
        """Seed → position of the record at a point or end of a curve."""
        return self._columns[name].get(point) or self._anchors[name][point]

    def _seed_draws(self, seeds: int) -> np.ndarray:
        """(1+B, seeds) which seeds each resample holds; the same for every point and curve."""
        drawn = np.random.default_rng(seeds).integers(0, seeds, size=(self._draws, seeds))
        return np.concatenate([np.arange(seeds)[None], drawn])


def matched(targets: Curves, name: str, accuracy: float, points: Sequence[Point]) -> dict[Point, float] | None:
    """Which of `points` of a control, with weights, have accuracy `accuracy` on the split of `targets` (validation).

    The nearest point if it is within 1 pp, else the two that bracket it, weighted linearly; None if none do. The ends of
    the curve may bracket too.
    """
    found = _accuracies(targets, name, [point for point in targets.points(name) if point in points])
    if not found:
        return None
    nearest = min(found, key=lambda point: abs(found[point] - accuracy))
    if abs(found[nearest] - accuracy) <= MATCHED_WITHIN:
        return {nearest: 1.0}
    found = _accuracies(targets, name, targets.anchors(name)) | found
    below = [point for point in found if found[point] <= accuracy]
    above = [point for point in found if found[point] >= accuracy]
    if not below or not above:
        return None
    low, high = max(below, key=found.__getitem__), min(above, key=found.__getitem__)
    if found[low] == found[high]:
        return {low: 1.0}
    share = (accuracy - found[low]) / (found[high] - found[low])
    return {low: float(1 - share), high: float(share)}


def _accuracies(curves: Curves, name: str, points: Sequence[Point]) -> dict[Point, float]:
    tracks = {point: curves.accuracy(name, point) for point in points}
    return {point: float(track.rows[0]) for point, track in tracks.items() if track is not None}


def curve_name(record: Record) -> str:
    """`top_k`, or `norm-matched random_k` for a control scaled to the norm of top_k."""
    return f"norm-matched {record['operator']}" if record.get("norm_matched") else record["operator"]


def control_names(names: Sequence[str]) -> list[str]:
    """The curves that are controls of top_k."""
    return [name for name in names if name.removeprefix("norm-matched ") in CONTROLS]


def _columns(records: Sequence[Record]) -> dict[str, dict[Point, dict[int | None, int]]]:
    """Curve → point → seed → position in `records`; of each curve, only the seeds that every point of it has."""
    table: dict[str, dict[Point, dict[int | None, int]]] = {}
    for position, record in enumerate(records):
        if record["operator"] not in ("base", "ft"):
            points = table.setdefault(curve_name(record), {})
            points.setdefault((record["k"], record["param"]), {})[record["seed"]] = position
    return {name: _common_seeds(points) for name, points in table.items()}


def _common_seeds(points: dict[Point, dict[int | None, int]]) -> dict[Point, dict[int | None, int]]:
    common = set.intersection(*(set(seeds) for seeds in points.values()))
    order = sorted(common, key=lambda seed: seed or 0)
    return {point: {seed: seeds[seed] for seed in order} for point, seeds in points.items() if order}
