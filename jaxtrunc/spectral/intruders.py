"""Intruder dimensions: leading directions of the fine-tuned weights that the base does not have."""

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh

from jaxtrunc.spectral.backends.gram64 import decompose_gram64

LEADING, THRESHOLD = 10, 0.5
NEARBY = 64
"""Leading vectors of the base that are tried first: an update rarely moves one further, and the rest cost ten times more."""


def intruder_count(before: Float[np.ndarray, "in out"], after: Float[np.ndarray, "in out"]) -> int | None:
    """How many of the 10 leading output-side singular vectors of W_ft have |cos| < 0.5 with all of W_base's.

    Shuttleworth et al. 2024 (arXiv 2410.21228), section 3. None for a base of zeros.
    """
    if not before.any():
        return None
    found = _leading(after, LEADING)
    strange = found[:, _nearest(_leading(before, NEARBY), found) < THRESHOLD]
    return int(np.sum(_nearest(_every(before), strange) < THRESHOLD)) if strange.size else 0


def _nearest(known: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The largest |cos| of each column of `found` with a column of `known`."""
    return np.abs(known.T @ found).max(axis=0)


def _leading(weights: np.ndarray, count: int) -> np.ndarray:
    """At most `count` leading output-side vectors as columns, to float32 accuracy."""
    tall = weights if weights.shape[1] <= weights.shape[0] else weights.T
    r = tall.shape[1]
    _, basis = eigh(tall.T @ tall, subset_by_index=[max(r - count, 0), r - 1], check_finite=False)
    return _output_side(weights, basis, np.linalg.norm(tall @ basis, axis=0))


def _every(weights: np.ndarray) -> np.ndarray:
    """All output-side vectors as columns, in float64."""
    s, basis = decompose_gram64(weights if weights.shape[1] <= weights.shape[0] else weights.T)
    return _output_side(weights, basis, s)


def _output_side(weights: np.ndarray, basis: np.ndarray, s: np.ndarray) -> np.ndarray:
    """From short-side vectors to output-side ones; those of zero singular values are left out."""
    known = s > 1e-7 * s.max()
    return basis[:, known] if weights.shape[1] <= weights.shape[0] else (weights.T @ basis[:, known]) / s[known]
