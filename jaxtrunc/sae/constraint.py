"""L_sub: how much of a state lies outside a subspace (Wang, Ma et al. 2025, arXiv 2512.23260, section 3.3)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_HIGHEST = jax.lax.Precision.HIGHEST


def orthogonal_energy(h: Float[Array, "*b d"], u: Float[Array, "d r"]) -> Float[Array, "*b"]:
    """‖h − U(Uᵀh)‖² of every state, for orthonormal columns U; in the dtype of `h`.

    No d × d projector is formed, and no difference of norms, which could turn negative.
    """
    inside = jnp.matmul(jnp.matmul(h, u, precision=_HIGHEST), u.T, precision=_HIGHEST)
    return jnp.sum(jnp.square(h - inside), axis=-1)


def subspace_loss(states: Sequence[Float[Array, "*b d"]], bases: Sequence[Float[Array, "d r"]],
                  weights: Float[Array, "*b"] | None = None) -> Float[Array, ""]:
    """L_sub: the mean over layers of the mean over tokens of ‖P_orth h‖².

    Args:
      states: those of each layer.
      bases: U of each layer, orthonormal columns.
      weights: of the tokens instead of one over their number; zero for padding and special tokens.
    """
    def of_layer(h: jax.Array, u: jax.Array) -> jax.Array:
        energy = orthogonal_energy(h, u)
        return jnp.mean(energy) if weights is None else jnp.sum(weights * energy)

    return sum((of_layer(h, u) for h, u in zip(states, bases, strict=True)), jnp.zeros(())) / len(states)
