"""Clipping that keeps the relative weight of the two objectives."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxtrunc.core.errors import InputError


def joint_clip(gradients: Any, constraint_grads: Any, max_norm: float) -> tuple[Any, Any]:
    """Both gradients times one factor, so that √(‖g_f‖² + ‖g_g‖²) is at most `max_norm`; taken in float32, where 300² has room.

    Raises:
      InputError: `max_norm` is not above 0.
    """
    if not max_norm > 0:
        raise InputError(f"joint_clip: max_norm must be above 0, found {max_norm}")
    whole = optax.tree.cast((gradients, constraint_grads), jnp.float32)
    norm = jnp.asarray(optax.tree.norm(whole))
    factor = jnp.minimum(1, max_norm / jnp.where(norm > 0, norm, 1))

    def scaled(leaf: jax.Array) -> jax.Array:
        return (leaf * factor).astype(leaf.dtype)

    return jax.tree.map(scaled, gradients), jax.tree.map(scaled, constraint_grads)
