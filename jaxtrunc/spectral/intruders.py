"""Intruder dimensions: leading directions of the fine-tuned weights that the base does not have."""

import numpy as np
from jaxtyping import Float

from jaxtrunc.spectral.backends.gram64 import decompose_gram64

LEADING, THRESHOLD = 10, 0.5


def intruder_count(before: Float[np.ndarray, "in out"], after: Float[np.ndarray, "in out"]) -> int | None:
    """How many of the 10 leading output-side singular vectors of W_ft have |cos| < 0.5 with all of W_base's.

    Shuttleworth et al. 2024 (arXiv 2410.21228), section 3. None for a base of zeros.
    """
    if not before.any():
        return None
    cosines = np.abs(_output_vectors(before).T @ _output_vectors(after)[:, :LEADING])
    return int(np.sum(cosines.max(axis=0) < THRESHOLD))


def _output_vectors(weights: np.ndarray) -> np.ndarray:
    """Singular vectors on the output side as columns, those of zero singular values left out."""
    inputs, outputs = weights.shape
    s, basis = decompose_gram64(weights if outputs <= inputs else weights.T)
    known = s > 1e-7 * s[0]
    return basis[:, known] if outputs <= inputs else (weights.T.astype(np.float64) @ basis[:, known]) / s[known]
