"""Low-rank factors in a parameter tree: leaves `lora_a` (L, in, r) and `lora_b` (L, r, out) beside a `kernel` (Hu et al. 2021).

A tree without them gives the plain model. The factor alpha/r is part of `lora_b` here. With dropout of what the factors read,
`lora_keys` (L, B, …) holds a random key for every row of the batch and `lora_rate` (L,) the share that is dropped.
arXiv 2106.09685.
"""

from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxtrunc.core.trees import Params, flatten, unflatten

PREFIX = "lora_"


def factor_path(kernel: str, side: str) -> str:
    """Path of one factor of the kernel `…/kernel`; `side` is lora_a or lora_b."""
    return f"{kernel.rpartition('/')[0]}/{side}"


def split_factors(params: Params) -> tuple[Params, dict[str, Any]]:
    """The tree without factors, and `{path: factor}` of all leaves named `lora_…`."""
    flat = flatten(params)
    factors = {path: leaf for path, leaf in flat.items() if path.rpartition("/")[2].startswith(PREFIX)}
    return (unflatten({path: leaf for path, leaf in flat.items() if path not in factors}), factors) if factors else (params, {})


def dropped(x: jax.Array, keys: jax.Array, rate: jax.Array) -> jax.Array:
    """x (B, T, in) with entries set to zero at random and the others divided by the share that stays.

    Every row has a key of its own, so that a mask depends neither on the other rows nor on where they are computed.
    """
    def of_row(key: jax.Array) -> jax.Array:
        return jax.random.bernoulli(jax.random.wrap_key_data(key), 1 - rate, x.shape[1:])

    return jnp.where(jax.vmap(of_row)(keys), x / (1 - rate), 0)


def attach(model: nnx.Module, factors: dict[str, Any]) -> Any:
    """Give the factors to the linears of a freshly merged model, which it changes and returns."""
    for path, factor in factors.items():
        *modules, side = path.split("/")
        setattr(reduce(getattr, modules, model), side, nnx.Param(factor))
    return model
