"""Vocabulary Cluster Score: how alike the head's rows are for a group of tokens, and how alike chance makes them.

Named by Miyashita (2026, arXiv 2605.22005) as mean cosine similarity; that every pair counts once is our reading.
"""

import numpy as np
from jaxtyping import Float

POOL = 8192
"""Rows whose coordinates stand for those of all rows in the null."""


def vcs(rows: Float[np.ndarray, "m d"]) -> float:
    """Mean cosine over all pairs of m ≥ 2 rows: (‖Σ ŵ‖² − m)/(m(m − 1)), in [−1/(m − 1), 1]; a row of zeros counts as 0."""
    wide = np.asarray(rows, np.float64)
    norm = np.linalg.norm(wide, axis=1, keepdims=True)
    unit = wide / np.where(norm > 0, norm, 1)
    return float(_closed_form((unit.sum(0) ** 2).sum(), len(unit)))


def null_vcs(pool: Float[np.ndarray, "n d"], own: Float[np.ndarray, "p m"], index: np.ndarray, draws: int,
             seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation `(p,)` of the VCS that groups chosen like the given ones have by chance.

    A pole's tokens were chosen for their coordinate along its direction, so that they are alike in it. The null keeps that
    coordinate and draws every other one from all tokens, each independently.

    Args:
      pool: coordinates W·V of tokens to draw from.
      own: for each pole, the coordinates of its m tokens along its own direction.
      index: for each pole, the number of its direction.
    """
    rng = np.random.default_rng(seed)
    found = [_one_draw(pool[rng.integers(len(pool), size=(own.shape[1], pool.shape[1])), np.arange(pool.shape[1])], own, index)
             for _ in range(draws)]
    return np.mean(found, axis=0), np.std(found, axis=0, ddof=1)


def _one_draw(drawn: np.ndarray, own: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The VCS of each pole with its own coordinate put into the drawn rows `(m, d)`, without writing them p times."""
    poles, m = own.shape
    squares = (drawn**2).sum(1) - drawn[:, index].T ** 2 + own**2
    weights = 1 / np.sqrt(np.maximum(squares, np.finfo(np.float64).tiny))
    sums = weights @ drawn
    sums[np.arange(poles), index] = (weights * own).sum(1)
    return _closed_form((sums**2).sum(1), m)


def _closed_form(squared: np.ndarray, m: int) -> np.ndarray:
    return (squared - m) / (m * (m - 1))
