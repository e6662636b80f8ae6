"""TopK and BatchTopK, with AuxK for dead latents (Gao et al. 2024, arXiv 2406.04093; Bussmann et al. 2024, arXiv 2412.06410)."""

import jax
import jax.numpy as jnp

from jaxtrunc.sae.largest import largest
from jaxtrunc.sae.training.losses.parts import Now, Params, Seen, error, pre_activations, seen, spread
from jaxtrunc.sae.training.settings import SAETraining


def topk_loss(params: Params, x: jax.Array, now: Now, settings: SAETraining) -> tuple[jax.Array, Seen]:
    """(Σ‖e‖² + α·c·Σ‖ê − stop(e)‖²)/V with the k largest latents of each activation."""
    relu = jax.nn.relu(pre_activations(params, x, settings))
    return _loss(params, x, relu, largest(relu, settings.k), now, settings)


def batchtopk_loss(params: Params, x: jax.Array, now: Now, settings: SAETraining) -> tuple[jax.Array, Seen]:
    """The same with the k·batch largest of the whole batch."""
    relu = jax.nn.relu(pre_activations(params, x, settings))
    return _loss(params, x, relu, largest(relu, settings.k * len(x), axis=None), now, settings)


def _loss(params: Params, x: jax.Array, relu: jax.Array, kept: jax.Array, now: Now,
          settings: SAETraining) -> tuple[jax.Array, Seen]:
    a = jnp.where(kept, relu, 0)
    e = error(params, x, a)
    total = jnp.sum(jnp.square(e))
    if settings.aux_coefficient:
        # Without a dead latent the term is zero: then its products are not computed.
        rest = jax.lax.stop_gradient(e)
        total += settings.aux_coefficient * jax.lax.cond(now.dead.any(), _auxiliary, lambda *_: jnp.float32(0),
                                                         params["w_dec"], relu, rest, now.dead)
    return total / spread(x), seen(x, a, e)


def _auxiliary(w_dec: jax.Array, relu: jax.Array, rest: jax.Array, dead: jax.Array) -> jax.Array:
    """c·Σ‖ê − rest‖²: what the ⌊d/2⌋ largest dead latents leave of what the living have left."""
    most = max(rest.shape[-1] // 2, 1)
    among_dead = jnp.where(dead, relu, 0)
    guess = jnp.where(largest(among_dead, most), among_dead, 0) @ w_dec
    return jnp.minimum(dead.sum() / most, 1) * jnp.sum(jnp.square(guess - rest))
