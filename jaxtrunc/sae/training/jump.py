"""The jump of JumpReLU and the count of what is above it, with pseudo-gradients for the threshold.

Rajamanoharan et al. 2024, arXiv 2407.14435, equations 11 and 12: a kernel K, the indicator of (−½, ½), of width ε stands for the
derivative of the step. What enters receives the ordinary mask from `jump`, nothing from `step`.
"""

import functools

import jax
import jax.numpy as jnp


def jump(z: jax.Array, threshold: jax.Array, bandwidth: float) -> jax.Array:
    """z where it is above the threshold, else 0; d/dθ = −(θ/ε)·K((z − θ)/ε).

    Args:
      z: (…, n).
      threshold: (n,), θ.
      bandwidth: ε.
    """
    return _jump(z, threshold, bandwidth)  # type: ignore[return-value]


def step(z: jax.Array, threshold: jax.Array, bandwidth: float) -> jax.Array:
    """1 where z is above the threshold, else 0; d/dθ = −(1/ε)·K((z − θ)/ε)."""
    return _step(z, threshold, bandwidth)  # type: ignore[return-value]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _jump(z: jax.Array, threshold: jax.Array, bandwidth: float) -> jax.Array:
    return z * (z > threshold)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _step(z: jax.Array, threshold: jax.Array, bandwidth: float) -> jax.Array:
    return (z > threshold).astype(z.dtype)


def _near(z: jax.Array, threshold: jax.Array, bandwidth: float) -> jax.Array:
    """K((z − θ)/ε)."""
    return (jnp.abs(z - threshold) < bandwidth / 2).astype(z.dtype)


def _over_rows(gradient: jax.Array, threshold: jax.Array) -> jax.Array:
    """Sum over the axes along which the threshold was repeated."""
    return gradient.sum(axis=tuple(range(gradient.ndim - threshold.ndim)))


def _jump_backward(bandwidth: float, saved: tuple[jax.Array, jax.Array], g: jax.Array) -> tuple[jax.Array, jax.Array]:
    z, threshold = saved
    return g * (z > threshold), _over_rows(-threshold / bandwidth * _near(z, threshold, bandwidth) * g, threshold)


def _step_backward(bandwidth: float, saved: tuple[jax.Array, jax.Array], g: jax.Array) -> tuple[jax.Array, jax.Array]:
    z, threshold = saved
    return jnp.zeros_like(z), _over_rows(-1 / bandwidth * _near(z, threshold, bandwidth) * g, threshold)


_jump.defvjp(lambda z, threshold, bandwidth: (_jump(z, threshold, bandwidth), (z, threshold)), _jump_backward)
_step.defvjp(lambda z, threshold, bandwidth: (_step(z, threshold, bandwidth), (z, threshold)), _step_backward)
