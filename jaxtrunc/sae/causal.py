"""The causal check of arXiv 2512.23260: chosen features made stronger or weaker in a state, everything else left as it is."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxtrunc.sae.sae import SAE, encode


def scale_features(x: Float[Array, "*b d"], *, sae: SAE, index: Int[Array, " m"], gamma: Float[Array, ""],
                   counts: Bool[Array, "B T"] | None = None) -> Float[Array, "*b d"]:
    """x + Σ (γ − 1) · a_i · W_dec,i / output_scale over the features `index`: exact at γ = 1, where a reconstruction is not.

    As an edit of a pass: `jax.tree_util.Partial(scale_features, sae=sae, index=index, gamma=jnp.float32(2))`.

    Args:
      counts: which places of a pass over so many rows and tokens change; in passes of another shape, one token further, all do.
    """
    index = jnp.asarray(index)
    added = jnp.matmul(encode(sae, x)[..., index], sae.w_dec[index], precision=jax.lax.Precision.HIGHEST)
    changed = x + (gamma - 1) * added / sae.output_scale
    return changed if counts is None or x.shape[:-1] != counts.shape else jnp.where(counts[..., None], changed, x)
