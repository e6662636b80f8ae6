"""Principal angles between the leading subspaces of two heads."""

from typing import Any

import numpy as np
from scipy.linalg import subspace_angles

from jaxtrunc.lens.align import Alignment
from jaxtrunc.lens.svd import VocabSVD

LEADING = (1, 5, 10, 30)


def angle_table(base: VocabSVD, tuned: VocabSVD, rows: Alignment) -> dict[str, list[dict[str, Any]]]:
    """For the right subspaces in R^d and the left ones in R^V (aligned rows), for K = 1, 5, 10, 30 as far as both go."""
    left, left_tuned = base.u[rows.ours], tuned.u[rows.theirs]
    most = min(base.k, tuned.k)
    counts = sorted({min(k, most) for k in LEADING})
    return {"right": [_angles(base.v[:, :k], tuned.v[:, :k]) for k in counts],
            "left": [_angles(left[:, :k], left_tuned[:, :k]) for k in counts]}


def _angles(a: np.ndarray, b: np.ndarray) -> dict[str, Any]:
    """Angles between the column spaces of `(n, k)` matrices, ascending, in radians.

    SciPy takes those below π/4 from sines (Knyazev and Argentati 2002), for arccos would lose half the digits, and makes bases
    orthonormal first. random_mean: the angle whose squared cosine is k/n, the mean for random subspaces.
    """
    found = subspace_angles(a, b)[::-1]
    n, k = a.shape
    return {"k": k, "angles": found, "max": found[-1], "mean": found.mean(), "chordal": float(np.linalg.norm(np.sin(found))),
            "random_mean": float(np.arccos(min(k / n, 1.0) ** 0.5))}
