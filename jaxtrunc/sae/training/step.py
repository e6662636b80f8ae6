"""One optimiser step as one compiled function."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jaxtrunc.sae.training.losses import LOSSES
from jaxtrunc.sae.training.losses.parts import Now
from jaxtrunc.sae.training.optimiser import optimiser, sparsity, unit_rows
from jaxtrunc.sae.training.resample import is_due, resample
from jaxtrunc.sae.training.settings import SAETraining
from jaxtrunc.sae.training.state import SAEState, laid_out

MEMORY = 0.999  # of the running threshold of batchtopk


class Measured(NamedTuple):
    """Scalars of one step, still on the device: loss, fraction of variance unexplained, active latents, share of dead ones."""

    loss: jax.Array
    fvu: jax.Array
    l0: jax.Array
    dead: jax.Array


@partial(jax.jit, static_argnames=("settings", "mesh"), donate_argnames="state")
def train_step(state: SAEState, x: jax.Array, settings: SAETraining, mesh: Mesh | None) -> tuple[SAEState, Measured]:
    """Activations (batch, d) as they come → new state, what was measured before; the state passed in is consumed."""
    x = state.scale * x
    now = Now(state.silent >= settings.dead_tokens, sparsity(settings, state.step))
    (loss, seen), gradient = jax.value_and_grad(LOSSES[settings.kind], has_aux=True)(state.params, x, now, settings)
    updates, moments = optimiser(settings).update(gradient, state.optimiser, state.params)
    silent = jnp.where(seen.fired, 0, jnp.minimum(state.silent + len(x), settings.dead_tokens))
    params = unit_rows(optax.apply_updates(state.params, updates))  # type: ignore[arg-type]
    state = SAEState(params, moments, silent, _running(state.threshold, seen.least), state.scale, state.step + 1)
    measured = Measured(loss, seen.unexplained, seen.l0, jnp.mean(silent >= settings.dead_tokens))
    if settings.resample:
        state = jax.lax.cond(is_due(settings, state.step), lambda: resample(state, x, seen.errors, settings), lambda: state)
    return laid_out(state, mesh), measured


def _running(threshold: jax.Array, least: jax.Array) -> jax.Array:
    """Running mean of the smallest positive activation of a batch, which begins with the first; a batch without one is skipped."""
    mean = jnp.where(threshold == 0, least, MEMORY * threshold + (1 - MEMORY) * least)
    return jnp.where(jnp.isfinite(least), mean, threshold)
