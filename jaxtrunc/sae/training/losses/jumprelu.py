"""JumpReLU: the squared error plus λ per active latent (Rajamanoharan et al. 2024, arXiv 2407.14435, equation 9)."""

import jax
import jax.numpy as jnp

from jaxtrunc.sae.training.jump import jump, step
from jaxtrunc.sae.training.losses.parts import Now, Params, Seen, error, pre_activations, seen
from jaxtrunc.sae.training.settings import SAETraining


def jumprelu_loss(params: Params, x: jax.Array, now: Now, settings: SAETraining) -> tuple[jax.Array, Seen]:
    """Mean over the batch of ‖e‖² + λ·L0."""
    threshold = jnp.exp(params["log_threshold"])
    z = pre_activations(params, x, settings)
    a = jump(z, threshold, settings.bandwidth)
    e = error(params, x, a)
    price = now.sparsity * jnp.sum(step(z, threshold, settings.bandwidth))
    return (jnp.sum(jnp.square(e)) + price) / len(x), seen(x, a, e)
