"""From the state of training, which sees scaled activations, to the autoencoder of the activations as they come."""

import jax.numpy as jnp

from jaxtrunc.core.processes import fetch
from jaxtrunc.sae.sae import SAE
from jaxtrunc.sae.training.settings import SAETraining
from jaxtrunc.sae.training.state import SAEState


def trained_sae(state: SAEState, settings: SAETraining) -> SAE:
    """W_enc and W_dec as they are, biases and thresholds divided by κ; batchtopk becomes jumprelu with its running threshold."""
    params = {name: fetch(leaf) for name, leaf in state.params.items()}
    scale = float(state.scale)
    threshold = None
    if settings.kind == "jumprelu":
        threshold = jnp.exp(params["log_threshold"]) / scale
    if settings.kind == "batchtopk":
        threshold = jnp.full(settings.n, float(state.threshold) / scale)
    return SAE(
        w_enc=jnp.asarray(params["w_enc"]), w_dec=jnp.asarray(params["w_dec"]),
        b_enc=jnp.asarray(params["b_enc"] / scale), b_dec=jnp.asarray(params["b_dec"] / scale), threshold=threshold,
        kind="jumprelu" if settings.kind == "batchtopk" else settings.kind, k=settings.k if settings.kind == "topk" else None,
        input_scale=1.0, output_scale=1.0, subtract_b_dec=settings.subtract_b_dec,
        meta=(("trained_as", settings.kind), ("steps", settings.steps), ("seed", settings.seed)))
