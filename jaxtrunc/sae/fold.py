"""The same autoencoder in other units: decoder rows of norm one, scales of one."""

from dataclasses import replace

import jax
import jax.numpy as jnp

from jaxtrunc.sae.sae import SAE

PER_LATENT = ("b_enc", "b_gate", "b_mag", "threshold")  # in units of a latent; r_mag is a logarithm of a ratio


def fold_decoder_norm(sae: SAE) -> SAE:
    """Decoder rows of norm one; W_enc's columns, encoder and gate biases and thresholds take the old norms. x̂ stays.

    A topk autoencoder comes back as it is: which k latents are largest would change. Rows of norm 0 stay.
    """
    return sae if sae.kind == "topk" else by_decoder_norm(sae)


def by_decoder_norm(sae: SAE) -> SAE:
    """The same for every kind; of topk it chooses the latents that are largest in units of their decoder rows."""
    norm = jnp.linalg.norm(sae.w_dec, axis=1)
    norm = jnp.where(norm > 0, norm, 1)
    scaled = {name: leaf * norm for name in PER_LATENT if (leaf := getattr(sae, name)) is not None}
    return replace(sae, w_enc=sae.w_enc * norm, w_dec=sae.w_dec / norm[:, None], **scaled)


def fold_scales(sae: SAE) -> SAE:
    """Both scales 1, with the same W_enc, W_dec and x̂; activations, biases and thresholds are divided by the scale.

    Raises:
      ValueError: the scales differ, as those of a transcoder.
    """
    if sae.input_scale != sae.output_scale:
        raise ValueError(f"input_scale {sae.input_scale} and output_scale {sae.output_scale} differ")
    if sae.input_scale == 1:
        return sae
    divided: dict[str, jax.Array] = {name: leaf / sae.input_scale for name in (*PER_LATENT, "b_dec")
                                     if (leaf := getattr(sae, name)) is not None}
    return replace(sae, input_scale=1.0, output_scale=1.0, **divided)
