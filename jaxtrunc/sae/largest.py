"""The k largest of non-negative numbers by bisection on their bits: counting alone, so it works on arrays that lie on many devices.

A sort would bring the divided axis together on every device, and costs more than 31 counts where k is large.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np


@partial(jax.jit, static_argnames=("count", "axis"))
def largest(values: jax.Array, count: int, axis: int | None = -1) -> jax.Array:
    """Which entries are positive and among the `count` largest along `axis` (None: of all); of equal ones the first.

    Args:
      values: float32, none negative; the axes that are counted over have fewer than 2³¹ entries together.
      count: at least 1.

    Returns:
      Booleans of the same shape; there is no gradient.
    """
    bits = jax.lax.bitcast_convert_type(jax.lax.stop_gradient(values), jnp.int32)  # ordered as the numbers are

    def number(chosen: jax.Array) -> jax.Array:
        return jnp.sum(chosen, axis=axis, keepdims=True, dtype=jnp.int32)

    least = _largest_where(lambda bound: number(bits >= bound) >= count, number(bits > 0), 31)
    above, equal = bits > least, (bits == least) & (bits > 0)
    missing = count - number(above)
    return above | jax.lax.cond(jnp.any(number(equal) > missing), lambda: _first(equal, missing, number, axis), lambda: equal)


def _first(equal: jax.Array, missing: jax.Array, number: Callable[[jax.Array], jax.Array], axis: int | None) -> jax.Array:
    """The first `missing` of the entries that are true."""
    place = _places(equal.shape, axis)
    size = equal.size if axis is None else equal.shape[axis]
    end = _largest_where(lambda bound: number(equal & (place < bound)) <= missing, missing, size.bit_length())
    return equal & (place < end)


def _places(shape: tuple[int, ...], axis: int | None) -> jax.Array:
    """Number of each entry along `axis`, or in the flattened array."""
    if axis is not None:
        return jax.lax.broadcasted_iota(jnp.int32, shape, axis % len(shape))
    strides = np.cumprod((1, *shape[:0:-1]))[::-1]
    return sum((int(stride) * jax.lax.broadcasted_iota(jnp.int32, shape, i) for i, stride in enumerate(strides)), jnp.int32(0))


def _largest_where(holds: Callable[[jax.Array], jax.Array], like: jax.Array, digits: int) -> jax.Array:
    """The largest number of so many binary digits for which `holds`, which is true of 0 and stays false once it is false."""
    def digit(i: jax.Array, found: jax.Array) -> jax.Array:
        higher = found | (1 << (digits - 1 - i))
        return jnp.where(holds(higher), higher, found)

    return jax.lax.fori_loop(0, digits, digit, jnp.zeros_like(like))
