"""Leading singular subspaces of a momentum: by a full decomposition, or by a few rounds of a warm-started power iteration."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxtrunc.steer.polar import product

FRESH_ROUNDS = 5


class Bases(NamedTuple):
    """Paired orthonormal columns `u (m, K)`, `v (n, K)`; columns of negligible `sigma (K,)` are zero.

    Attributes:
      nuclear: Σσ; with power iteration over the K leading ones alone.
    """

    u: jax.Array
    v: jax.Array
    sigma: jax.Array
    nuclear: jax.Array


def svd_bases(matrix: jax.Array, k: int, sv_rtol: float) -> Bases:
    """Of a full decomposition; float32."""
    u, sigma, vt = jnp.linalg.svd(matrix, full_matrices=False)
    return _masked(u[:, :k], vt[:k].T, sigma[:k], sigma.sum(), sv_rtol)


def refreshed(matrix: jax.Array, q: jax.Array, rounds: int) -> jax.Array:
    """`rounds` of Q ← qr(M(MᵀQ)) from the last step's Q `(m, K)`; an all-zero Q is fresh and takes 5 from a random start."""
    fresh = ~jnp.any(q)
    start = jnp.where(fresh, jax.random.normal(jax.random.key(0), q.shape), q)

    def turn(_: jax.Array, q: jax.Array) -> jax.Array:
        return jnp.linalg.qr(product(matrix, product(matrix.T, q)))[0]

    return jax.lax.fori_loop(0, jnp.where(fresh, FRESH_ROUNDS, rounds), turn, start)


def iterate_bases(matrix: jax.Array, q: jax.Array, sv_rtol: float) -> Bases:
    """Of the subspace that Q spans: MᵀQ = Q₂R, R = W·S·Zᵀ, U = QZ, V = Q₂W.

    A Gram matrix of MᵀQ would square the condition. The pair (Q, Q₂WZᵀ) would span the same update, but the mask needs S apart.
    """
    right, triangle = jnp.linalg.qr(product(matrix.T, q))
    w, sigma, zt = jnp.linalg.svd(triangle)
    return _masked(product(q, zt.T), product(right, w), sigma, sigma.sum(), sv_rtol)


def _masked(u: jax.Array, v: jax.Array, sigma: jax.Array, nuclear: jax.Array, sv_rtol: float) -> Bases:
    """Directions of negligible weight are arbitrary, and would enter the update with weight one."""
    kept = sigma > sv_rtol * sigma[0]
    return Bases(u * kept, v * kept, jnp.where(kept, sigma, 0), nuclear)
