"""Leading triplets of a task matrix, and the nearest matrix with orthonormal columns; the same words for NumPy and JAX.

Arrays of NumPy are worked on in float64 by the house's decomposition, tracers of JAX by its own SVD in the precision they have.
"""

from typing import Any

import numpy as np

from jaxtrunc.spectral.backends.gram64 import decompose_gram64

POORLY_CONDITIONED = 1e-4
"""Below this share of σ₁ the Gram matrix leaves too few digits to the vectors, and LAPACK's SVD is taken."""

Triplets = tuple[Any, Any, Any]


def triplets(x: Any, k: int) -> Triplets:
    """The k leading triplets of `x` `(m, n)`: U `(m, k)`, σ `(k,)`, V `(n, k)`; k ≤ min(m, n)."""
    if isinstance(x, np.ndarray) and (found := _by_gram(x, k)) is not None:
        return found
    wide = x.astype(np.float64) if isinstance(x, np.ndarray) else x
    u, s, vt = wide.__array_namespace__().linalg.svd(wide, full_matrices=False)
    return u[:, :k], s[:k], vt[:k].T


def effective(s: Any, size: int) -> Any:
    """Which σ are above the rounding of the decomposition, `(k,)` bool: below it directions are arbitrary.

    Args:
      size: the longer side of the decomposed matrix.
    """
    return s > size * np.finfo(np.dtype(s.dtype)).eps * s[:1]


def polar(x: Any, rcond: float) -> tuple[Any, Any]:
    """msign(x) = A₊B₊ᵀ from an SVD over singular values > `rcond` `(m, k)`, and how many they are."""
    a, s, bt = x.__array_namespace__().linalg.svd(x, full_matrices=False)
    kept = s > rcond
    return (a * kept) @ bt, kept.sum()


def _by_gram(x: np.ndarray, k: int) -> Triplets | None:
    """By the Gram matrix of the shorter side; None where that is not exact enough."""
    tall = x if x.shape[0] >= x.shape[1] else x.T
    if not k or not tall.any():
        return None
    s, short = decompose_gram64(tall, k)
    if s[-1] <= POORLY_CONDITIONED * s[0]:
        return None
    long = tall.astype(np.float64) @ (short / s)
    return (long, s, short) if tall is x else (short, s, long)
