"""What the cells say: chosen learning rates, paired differences with t-intervals, verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats
from steering.cells import BASELINE, Cell

Verdict = Literal["better", "worse", "undecided"]
Found = Mapping[str, Any]  # a cell's result: `better`, `validation`, `test`, …


@dataclass(frozen=True)
class Mean:
    """Mean over seeds with its 95 % t-interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference(Mean):
    """Mean of a method minus the baseline, seed by seed, and what it amounts to."""

    verdict: Verdict


def score(found: Found) -> float:
    """What a learning rate is chosen by: the mean of the two metrics that are traded for each other, 1 being best."""
    names = list(found["better"])[:2]
    values = [found["validation"][name] for name in names]
    return float(np.mean([value if found["better"][name] == "higher" else 1 - value
                          for name, value in zip(names, values, strict=True)]))


def chosen_rate(results: Mapping[Cell, Found], cells: Sequence[Cell]) -> float:
    """The learning rate of the best validation score; of equal ones the lowest."""
    return min(cells, key=lambda cell: (-score(results[cell]), cell.rate)).rate


def mean(values: Sequence[float]) -> Mean:
    """Mean and interval; of values that are all the same the interval is a point."""
    value, error = float(np.mean(values)), float(stats.sem(values))
    if error == 0:
        return Mean(value, value, value)
    low, high = stats.t.interval(0.95, len(values) - 1, value, error)
    return Mean(value, float(low), float(high))


def difference(method: Sequence[float], baseline: Sequence[float], better: str) -> Difference:
    """Paired over seeds; decided where the interval does not hold 0."""
    found = mean(np.subtract(method, baseline).tolist())
    if found.low <= 0 <= found.high:
        return Difference(found.value, found.low, found.high, "undecided")
    return Difference(found.value, found.low, found.high, "better" if (found.low > 0) == (better == "higher") else "worse")


def against_baseline(results: Mapping[Cell, Found], chosen: Mapping[tuple[str, str], Sequence[Cell]], task: str, metric: str,
                     better: str) -> dict[str, Difference]:
    """Method → its difference to the baseline on one metric of the test splits."""
    values = {method: [results[cell]["test"][metric] for cell in cells] for (of, method), cells in chosen.items() if of == task}
    return {method: difference(found, values[BASELINE], better) for method, found in values.items() if method != BASELINE}


def fired_share(found: Sequence[Found]) -> float:
    """Share of matrices and steps at which the gate was open."""
    return float(np.mean([one["fired"] for one in found]))
