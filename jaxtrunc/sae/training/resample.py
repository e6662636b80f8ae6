"""Dead latents begin anew at activations that are reconstructed badly (Bricken et al. 2023, Towards Monosemanticity)."""

import jax
import jax.numpy as jnp

from jaxtrunc.sae.training.optimiser import DECAY_SHARE
from jaxtrunc.sae.training.settings import SAETraining
from jaxtrunc.sae.training.state import FIRST_THRESHOLD, SAEState, per_latent

# Length of a new encoder column relative to the mean of the living: small, where a new latent fires however weak it is; whole,
# where it must be among the largest.
ENCODER_SHARE = {"standard": 0.2, "jumprelu": 0.2, "topk": 1.0, "batchtopk": 1.0}


def is_due(settings: SAETraining, step: jax.Array) -> jax.Array:
    """Whether dead latents are replaced after finished step `step`; not in the last 20%, where they could not learn."""
    every = settings.resample or settings.steps + 1
    return (step % every == 0) & (step <= (1 - DECAY_SHARE) * settings.steps)


def resample(state: SAEState, x: jax.Array, errors: jax.Array, settings: SAETraining) -> SAEState:
    """Each dead latent takes the direction of one activation of the batch, drawn with probability ∝ error², without repetition.

    Args:
      state: after a step; its Adam moments of those latents become zero.
      x: (batch, d) scaled activations.
      errors: (batch,) their ‖x − x̂‖².
      settings: says when a latent is dead; its seed, with the step's number, draws.
    """
    params, dead = state.params, state.silent >= settings.dead_tokens
    rows = x[_drawn(errors, dead, jax.random.fold_in(jax.random.key(settings.seed), state.step))] - params["b_dec"]
    rows /= jnp.maximum(jnp.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    lengths = jnp.linalg.norm(params["w_enc"], axis=0)
    length = ENCODER_SHARE[settings.kind] * jnp.sum(lengths, where=~dead) / jnp.maximum((~dead).sum(), 1)
    columns = jnp.where(dead.all(), 1, length) * rows.T
    new = {"w_enc": columns, "w_dec": rows, "b_enc": 0.0 if settings.subtract_b_dec else -(params["b_dec"] @ columns),
           "log_threshold": jnp.log(FIRST_THRESHOLD)}
    params = {name: jnp.where(dead[:, None] if name == "w_dec" else dead, new[name], leaf) if name in new else leaf
              for name, leaf in params.items()}
    return state._replace(params=params, optimiser=per_latent(state.optimiser, jnp.where(dead, 0, 1)),
                          silent=jnp.where(dead, 0, state.silent))


def _drawn(errors: jax.Array, dead: jax.Array, key: jax.Array) -> jax.Array:
    """(n,) a row of the batch for each latent; dead ones share a row only if there are more of them than rows."""
    order = jnp.argsort(-(2 * jnp.log(errors) + jax.random.gumbel(key, errors.shape)))
    return order[(jnp.cumsum(dead) - 1) % len(errors)]
