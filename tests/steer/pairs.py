"""Pairs of matrices, and what SIFT makes of one pair."""

from functools import lru_cache

import jax
import numpy as np

from jaxtrunc.steer import scale_by_sift


def gaussian(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def of_rank(m, n, rank, seed=0):
    return gaussian(m, rank, seed=seed) @ gaussian(rank, n, seed=seed + 1)


def polar(matrix):
    """In float64, by LAPACK."""
    u, _, vt = np.linalg.svd(np.asarray(matrix, np.float64), full_matrices=False)
    return u @ vt


def step(f, g, **options):
    """One step without momentum: the direction and its metrics, as NumPy."""
    return _compiled(tuple(sorted(options.items())))(f, g)


@lru_cache
def _compiled(options):
    tx = scale_by_sift(**({"beta": 0.0, "nesterov": False, "threshold": None, "rank": 8} | dict(options)))

    def run(f, g):
        direction, state = tx.update(f, tx.init(f), constraint_grads=g)
        return direction, state.metrics

    compiled = jax.jit(run)
    return lambda f, g: jax.device_get(compiled(f, g))
