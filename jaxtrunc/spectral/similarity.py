"""How far apart the normalised spectra of two runs are: "alike across data sets"."""

from collections.abc import Mapping
from statistics import median
from typing import Any

import numpy as np

from jaxtrunc.spectral.decomposition import Decomposition

Curve = tuple[np.ndarray, np.ndarray]  # share of the components, from 0 to 1; share of ‖ΔW‖² in these


def spectrum_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Largest difference of cumulative energy Σ_{i≤k}s_i²/Σs² over k/r, between all singular values of two matrices.

    Args:
      one, other: `(r,)`, descending; r may differ.
    """
    return _distance(_curve_of(one), _curve_of(other))


def similarity(one: Decomposition, other: Decomposition) -> dict[str, float]:
    """`spectrum_distance` of every matrix that two runs share and of which all singular values are known."""
    return {name: spectrum_distance(svd.s, other.matrices[name].s) for name, svd in one.matrices.items()
            if name in other.matrices and svd.complete and other.matrices[name].complete}


def spectral_similarity(one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
    """Median of that distance over the matrices that two runs share; None if there are none.

    Args:
      one, other: `spectra` of results.json. Their energy curves hold k = 1, 2, 4, …, r, so the distance is the largest at these k.
    """
    shared = [(one[name], other[name]) for name in one if name in other]
    distances = [_distance(_stored_curve(a), _stored_curve(b)) for a, b in shared
                 if a.get("energy_curve") and b.get("energy_curve")]
    return median(distances) if distances else None


def _curve_of(s: np.ndarray) -> Curve:
    energy = np.concatenate([[0.0], np.cumsum(np.square(s, dtype=np.float64))])
    return np.arange(len(s) + 1) / len(s), energy / energy[-1]


def _stored_curve(entry: Mapping[str, Any]) -> Curve:
    ks, shares = np.array([[0, 0], *entry["energy_curve"]], np.float64).T
    return ks / min(entry["shape"]), shares


def _distance(one: Curve, other: Curve) -> float:
    """Between two lines in pieces the largest difference lies where a piece ends."""
    ends = np.union1d(one[0], other[0])
    return float(np.max(np.abs(np.interp(ends, *one) - np.interp(ends, *other))))
