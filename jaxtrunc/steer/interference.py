"""Singular task interference, in the compiled step (Gargiulo et al. 2025, arXiv 2412.00081)."""

import jax
import jax.numpy as jnp

from jaxtrunc.steer.polar import product


def interference(u: jax.Array, v: jax.Array, sigma: jax.Array) -> jax.Array:
    """‖(ÛᵀÛ − I) diag(σ̂) (V̂ᵀV̂ − I)‖₁ / (k(k − 1)) of gathered bases `(m, k)`, `(n, k)`; zero columns do not count."""
    present = sigma > 0
    excess = [product(basis.T, basis) - jnp.diag(present.astype(basis.dtype)) for basis in (u, v)]
    count = present.sum()
    return jnp.abs(product(excess[0] * sigma, excess[1])).sum() / jnp.maximum(count * (count - 1), 1)
