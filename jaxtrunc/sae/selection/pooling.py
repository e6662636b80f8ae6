"""One number per example and feature: the activations of a response, pooled over its tokens."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32

POOLINGS = ("mean", "last", "all", "max")


class Pooled(NamedTuple):
    """What the class sums take from a batch of examples.

    Attributes:
      value: the pooled activation; with `all` the sum over the tokens.
      squares: with `all` the sum of squares over the tokens; else None, the unit being the example.
      units: how many units `value` counts for: 1, or with `all` the number of tokens; 0 for an example without tokens.
      fired: tokens on which the feature is above zero.
      tokens: tokens of the response.
    """

    value: Float[Array, "B n"]
    squares: Float[Array, "B n"] | None
    units: Int32[Array, " B"]
    fired: Int32[Array, "B n"]
    tokens: Int32[Array, " B"]


def pool(activations: Float[Array, "B T n"], mask: Bool[Array, "B T"], mode: str = "mean") -> Pooled:
    """Pool over the tokens where `mask` is set: response tokens, special ones left out. Pure; `mode` is static under jit.

    Args:
      mode: `mean` over an example's tokens (default), `last` token, `max` over tokens, or `all`: every token is a unit of its own.
    """
    mask = mask.astype(bool)
    inside = jnp.where(mask[..., None], activations, 0)  # what stands outside may be anything, NaN included
    tokens = mask.sum(axis=1, dtype=jnp.int32)
    fired = (inside > 0).sum(axis=1, dtype=jnp.int32)
    squares, units = None, jnp.minimum(tokens, 1)
    if mode == "mean":
        value = inside.sum(axis=1) / jnp.maximum(tokens, 1)[:, None]
    elif mode == "last":
        last = mask.shape[1] - 1 - jnp.argmax(mask[:, ::-1], axis=1)
        value = jnp.take_along_axis(inside, last[:, None, None], axis=1)[:, 0]
    elif mode == "max":
        highest = jnp.where(mask[..., None], activations, -jnp.inf).max(axis=1)
        value = jnp.where(tokens[:, None] > 0, highest, 0)
    elif mode == "all":
        value, squares, units = inside.sum(axis=1), (inside**2).sum(axis=1), tokens
    else:
        raise ValueError(f"pooling {mode!r}, expected one of {POOLINGS}")
    return Pooled(value, squares, units, fired, tokens)
