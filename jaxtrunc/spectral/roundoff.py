"""What a cast of the truncated weights would add, measured against what the cut removed and what it kept."""

from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np

from jaxtrunc.spectral.cuts import Cut
from jaxtrunc.spectral.decomposition import MatrixSVD


class Summary(TypedDict):
    """Median and maximum over matrices."""

    median: float
    max: float


class Roundoff(TypedDict):
    """`ratio`: cast error over the removed part, None at full; `delta`: over the kept part, None at k = 0."""

    ratio: Summary | None
    delta: Summary | None


def roundoff(errors: Mapping[str, float], cuts: Mapping[str, Cut], matrices: Mapping[str, MatrixSVD]) -> Roundoff:
    """Cast error of each W(k), by name, relative to ‖ΔW − c·ΔW(g)‖_F and ‖c·ΔW(g)‖_F."""
    ratios, deltas = [], []
    for name, error in errors.items():
        removed, kept = cuts[name].norms(matrices[name])
        if removed:
            ratios.append(error / removed)
        if kept:
            deltas.append(error / kept)
    return {"ratio": _summary(ratios), "delta": _summary(deltas)}


def cast_error(weights: np.ndarray, dtype: Any) -> float:
    """‖cast(W) − W‖_F."""
    if np.dtype(dtype) == weights.dtype:
        return 0.0
    return float(np.linalg.norm(weights.astype(dtype).astype(np.float32) - weights))


def _summary(values: list[float]) -> Summary | None:
    return {"median": float(np.median(values)), "max": max(values)} if values else None
