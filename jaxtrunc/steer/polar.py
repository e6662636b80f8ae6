"""The polar factor msign(A) = A (AᵀA)^(-1/2) in four ways; zero columns stay zero."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

EPSILON = 1e-8
STANDARD = (3.4445, -4.7750, 2.0315)  # Jordan 2024
# Amsel et al. 2025, arXiv 2505.16932, algorithm 1, degree 5; further steps repeat the last.
EXPRESS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
    (1.875, -1.25, 0.375),
)
SAFETY = 1.01


class Polar(NamedTuple):
    """msign(A) `(m, k)` and the number of directions kept, int32."""

    factor: jax.Array
    rank: jax.Array


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """A matrix product at the highest precision of the device."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def gram_polar(a: jax.Array, rcond: float = 1e-4) -> Polar:
    """Â G^(-1/2) with G = AᵀA; eigenvalues ≤ rcond count as zero, so cancelling directions vanish instead of turning at random."""
    values, vectors = jnp.linalg.eigh(product(a.T, a))
    kept = values > rcond
    root = jnp.where(kept, jax.lax.rsqrt(jnp.where(kept, values, 1)), 0)
    return Polar(product(product(a, vectors * root), vectors.T), kept.sum(dtype=jnp.int32))


def svd_polar(a: jax.Array, rcond: float = 1e-4) -> Polar:
    """A₊B₊ᵀ of A = A·S·Bᵀ over S > √rcond, the same place as in `gram_polar`."""
    left, values, right = jnp.linalg.svd(a, full_matrices=False)
    kept = values > rcond**0.5
    return Polar(product(left * kept, right), kept.sum(dtype=jnp.int32))


def coefficients(name: str, steps: int) -> tuple[tuple[float, float, float], ...]:
    """Per step (a, b, c) of p(x) = ax + bx³ + cx⁵, for "standard" or "polar_express"."""
    if name == "standard":
        return (STANDARD,) * steps
    chosen = tuple(EXPRESS[min(step, len(EXPRESS) - 1)] for step in range(steps))
    return (*((a / SAFETY, b / SAFETY**3, c / SAFETY**5) for a, b, c in chosen[:-1]), chosen[-1])


def newton_schulz(a: jax.Array, name: str = "standard", steps: int = 5) -> jax.Array:
    """Muon's msign `(m, n)`: an odd polynomial of A / ‖A‖_F, step by step, on the shorter side.

    "standard" leaves singular values in about [0.68, 1.14]; "polar_express" brings them nearer to 1.
    """
    wide = a.T if a.shape[0] > a.shape[1] else a
    margin = SAFETY if name == "polar_express" else 1
    x = wide / (margin * jnp.linalg.norm(wide) + EPSILON)
    for first, third, fifth in coefficients(name, steps):
        gram = x @ x.T
        x = first * x + (third * gram + fifth * gram @ gram) @ x
    return x.T if a.shape[0] > a.shape[1] else x


def _iterated(name: str) -> Callable[[jax.Array, float], Polar]:
    def polar(a: jax.Array, rcond: float) -> Polar:
        return Polar(newton_schulz(a, name), jnp.any(a != 0, axis=0).sum(dtype=jnp.int32))

    return polar


POLARS: dict[str, Callable[[jax.Array, float], Polar]] = {
    "gram": gram_polar,
    "svd": svd_polar,
    "newton_schulz": _iterated("standard"),
    "polar_express": _iterated("polar_express"),
}
