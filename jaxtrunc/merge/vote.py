"""The two ideas of TIES on arrays of NumPy or JAX: keep the largest entries of each task, and let the signs vote.

Yadav et al. 2023 (arXiv 2306.01708), as mergekit 0.1.5 computes it.
"""

import math
from typing import Any

import numpy as np


def kept_count(density: float, entries: int) -> int:
    """How many entries a density keeps: at least one."""
    return max(1, math.floor(density * entries))


def elect(weighted: Any, weights: Any, normalize: bool) -> Any:
    """The sum over the tasks that agree with the sign of the sum of all, Σ_A D_t, divided by Σ_A w_t if `normalize`.

    Args:
      weighted: `(T, …)`, D_t = w_t·τ̂_t.
      weights: `(T,)`.
    """
    xp = weighted.__array_namespace__()
    positive = weighted.sum(0) >= 0
    agree = xp.where(positive, weighted > 0, weighted < 0)
    total = xp.where(agree, weighted, 0).sum(0)
    if not normalize:
        return total
    divisor = (agree * weights.reshape(-1, *(1,) * (weighted.ndim - 1))).sum(0)
    return total / xp.where(divisor == 0, xp.ones_like(divisor), divisor)


def largest(block: Any, counts: np.ndarray, columns: Any) -> Any:
    """A block `(m, r)` with all but its largest entries set to zero; of equal magnitudes those that come first are kept.

    Args:
      counts: `(r + 1,)`, how many entries to keep by the number of columns that count.
      columns: that number; the other columns are zero.
    """
    xp = block.__array_namespace__()
    order = xp.argsort(-xp.abs(block).reshape(-1), stable=True)
    place = xp.argsort(order, stable=True)
    return xp.where((place < xp.asarray(counts)[columns]).reshape(block.shape), block, 0)
