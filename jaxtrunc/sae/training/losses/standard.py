"""ReLU with an L1 penalty on a_i‖W_dec row i‖, which rescaling a latent does not change (Conerly et al. 2024, April update)."""

import jax
import jax.numpy as jnp

from jaxtrunc.sae.training.losses.parts import Now, Params, Seen, error, pre_activations, seen
from jaxtrunc.sae.training.settings import SAETraining


def standard_loss(params: Params, x: jax.Array, now: Now, settings: SAETraining) -> tuple[jax.Array, Seen]:
    """Mean over the batch of ‖e‖² + λ·Σ a_i‖W_dec row i‖."""
    a = jax.nn.relu(pre_activations(params, x, settings))
    e = error(params, x, a)
    price = now.sparsity * jnp.sum(a * jnp.linalg.norm(params["w_dec"], axis=1))
    return (jnp.sum(jnp.square(e)) + price) / len(x), seen(x, a, e)
