"""What a training step changes, how it begins, and where it lies."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxtrunc.sae.sharding import DICTIONARY
from jaxtrunc.sae.training.losses.parts import Params
from jaxtrunc.sae.training.optimiser import optimiser
from jaxtrunc.sae.training.settings import SAETraining

FIRST_THRESHOLD = 1e-3
AXIS_OF_LATENTS = {"w_enc": 1, "w_dec": 0, "b_enc": 0, "log_threshold": 0, "silent": 0}


class SAEState(NamedTuple):
    """Everything a checkpoint holds.

    Attributes:
      params: of activations κ·x.
      optimiser: Adam's moments.
      silent: (n,) int32, activations since each latent was last active, at most `dead_tokens`.
      threshold: scalar, batchtopk's running threshold; 0: none yet.
      scale: scalar, κ.
      step: scalar int32, finished steps.
    """

    params: Params
    optimiser: Any
    silent: jax.Array
    threshold: jax.Array
    scale: jax.Array
    step: jax.Array


def first_state(settings: SAETraining, mean: np.ndarray, square: float, mesh: Mesh | None) -> SAEState:
    """Random unit rows, W_dec = W_encᵀ, b_dec the data's mean, κ such that mean‖κ·x‖² = 1.

    The encoder of jumprelu does not subtract b_dec; its b_enc begins at −b_dec W_enc, so that it does so at the start.

    Args:
      settings: size and kind.
      mean: (d,) of the data.
      square: the data's mean squared norm.
      mesh: of one axis `dictionary`; None: one device.
    """
    return _first(mean.astype(np.float32), np.float32(square**-0.5), settings, mesh)


@partial(jax.jit, static_argnames=("settings", "mesh"))
def _first(mean: jax.Array, scale: jax.Array, settings: SAETraining, mesh: Mesh | None) -> SAEState:
    rows = jax.random.normal(jax.random.key(settings.seed), (settings.n, len(mean)))
    rows /= jnp.linalg.norm(rows, axis=1, keepdims=True)
    params = {"w_enc": rows.T, "w_dec": rows, "b_enc": jnp.zeros(settings.n), "b_dec": scale * mean}
    if settings.kind == "jumprelu":
        params |= {"b_enc": -(params["b_dec"] @ params["w_enc"]), "log_threshold": jnp.full(settings.n, jnp.log(FIRST_THRESHOLD))}
    silent = jnp.zeros(settings.n, jnp.int32)
    return laid_out(SAEState(params, optimiser(settings).init(params), silent, jnp.float32(0), scale, jnp.int32(0)), mesh)


def laid_out(state: SAEState, mesh: Mesh | None) -> SAEState:
    """Inside a compiled function: what has an axis of latents is divided along it, the rest is everywhere.

    Everything stays whole where the number of latents is no multiple of the number of devices.
    """
    if mesh is None:
        return state
    divides = state.silent.size % mesh.shape[DICTIONARY] == 0

    def placed(path: Any, leaf: jax.Array) -> jax.Array:
        axis = AXIS_OF_LATENTS.get(_name(path))
        spec = P() if axis is None or not divides else P(*(None,) * axis, DICTIONARY)
        return jax.lax.with_sharding_constraint(leaf, NamedSharding(mesh, spec))

    return jax.tree_util.tree_map_with_path(placed, state)


def per_latent(moments: optax.OptState, factor: jax.Array) -> optax.OptState:
    """Adam's moments with those of each latent multiplied by `factor` (n,)."""
    def scaled(path: Any, leaf: jax.Array) -> jax.Array:
        axis = AXIS_OF_LATENTS.get(_name(path))
        return leaf if axis is None else leaf * jnp.expand_dims(factor, [i for i in range(leaf.ndim) if i != axis])

    return jax.tree_util.tree_map_with_path(scaled, moments)


def _name(path: tuple[Any, ...]) -> str:
    """Key of the last dictionary, or name of the last field, on the way to a leaf."""
    last = path[-1]
    return str(getattr(last, "key", getattr(last, "name", "")))
