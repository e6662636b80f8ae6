"""What the losses share: the two linear maps, and what a step wants to know besides the loss."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxtrunc.sae.training.settings import SAETraining

Params = dict[str, jax.Array]
"""`w_enc` (d, n), `w_dec` (n, d), `b_enc` (n,), `b_dec` (d,); with jumprelu also `log_threshold` (n,)."""


class Now(NamedTuple):
    """What a loss depends on besides weights and data: dead latents (n,) bool, the present λ."""

    dead: jax.Array
    sparsity: jax.Array


class Seen(NamedTuple):
    """What one batch showed.

    Attributes:
      fired: (n,) bool, latents that were active at least once.
      l0: mean number of active latents.
      unexplained: Σ‖x − x̂‖² / Σ‖x − batch mean‖².
      errors: (batch,) ‖x − x̂‖².
      least: smallest positive activation, infinite if there is none.
    """

    fired: jax.Array
    l0: jax.Array
    unexplained: jax.Array
    errors: jax.Array
    least: jax.Array


Loss = Callable[[Params, jax.Array, Now, SAETraining], tuple[jax.Array, Seen]]


def pre_activations(params: Params, x: jax.Array, settings: SAETraining) -> jax.Array:
    """(batch, n) before any nonlinearity."""
    return (x - params["b_dec"] if settings.subtract_b_dec else x) @ params["w_enc"] + params["b_enc"]


def error(params: Params, x: jax.Array, a: jax.Array) -> jax.Array:
    """x − x̂."""
    return x - (a @ params["w_dec"] + params["b_dec"])


def spread(x: jax.Array) -> jax.Array:
    """Σ‖x − batch mean‖²."""
    return jnp.sum(jnp.square(x - x.mean(axis=0)))


def seen(x: jax.Array, a: jax.Array, e: jax.Array) -> Seen:
    """Facts about activations a ≥ 0 and the error they leave."""
    x, a, e = jax.lax.stop_gradient((x, a, e))
    errors = jnp.sum(jnp.square(e), axis=1)
    active = a > 0
    return Seen(active.any(axis=0), active.sum() / len(x), errors.sum() / spread(x), errors, jnp.where(active, a, jnp.inf).min())
