"""Adam for a dictionary of unit vectors: gradients along a row are removed, rows are brought back to length 1 after each step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxtrunc.sae.training.losses.parts import Params
from jaxtrunc.sae.training.settings import SAETraining

DECAY_SHARE = 0.2


def learning_rate(settings: SAETraining) -> Callable[[jax.typing.ArrayLike], jax.Array]:
    """Rate of step 0 … steps − 1: linear warm-up, constant, linear decay in the last 20%; no step has rate 0.

    Both ramps multiply the peak, so a run shorter than its warm-up decays too.
    """
    decay = max(round(DECAY_SHARE * settings.steps), 1)

    def rate(step: jax.typing.ArrayLike) -> jax.Array:
        left = settings.steps - jnp.asarray(step)
        return settings.peak_rate * ramp(step, settings.warmup) * jnp.clip(left / decay, 0, 1)

    return rate


def sparsity(settings: SAETraining, step: jax.Array) -> jax.Array:
    """λ of step `step`, the first being 0."""
    value = settings.l0_coefficient if settings.kind == "jumprelu" else settings.l1_coefficient
    warmup = settings.steps // 10 if settings.sparsity_warmup is None else settings.sparsity_warmup
    return value * ramp(step, warmup)


def ramp(step: jax.typing.ArrayLike, length: int) -> jax.Array:
    """(step + 1)/length, at most 1."""
    return jnp.minimum((jnp.asarray(step) + 1) / max(length, 1), 1.0)


def optimiser(settings: SAETraining) -> optax.GradientTransformation:
    """Remove what is parallel to W_dec's rows, clip to global norm 1, Adam."""
    return optax.chain(optax.stateless(_without_parallel), optax.clip_by_global_norm(1.0), optax.adam(learning_rate(settings)))


def unit_rows(params: Params) -> Params:
    """The same with W_dec's rows of length 1."""
    w_dec = params["w_dec"]
    return params | {"w_dec": w_dec / jnp.linalg.norm(w_dec, axis=1, keepdims=True)}


def _without_parallel(gradient: Any, params: Any) -> Params:
    g, w = gradient["w_dec"], params["w_dec"]
    return gradient | {"w_dec": g - jnp.sum(g * w, axis=1, keepdims=True) * w}
