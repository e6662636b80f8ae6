"""The layers of a decoder one after the other: by a scan or a loop, with a past, with visitors. Axis letters as in `decoder`."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxtrunc.core.mesh import rows_apart
from jaxtrunc.models.apart import of_layer
from jaxtrunc.models.config import DecoderConfig, Execution
from jaxtrunc.models.visits import Visits, as_it_is

KeysValues = tuple[Float[Array, "*l R P K H"], Float[Array, "*l R P K H"]]
Carry = tuple[jax.Array, dict[str, jax.Array]]  # the stream, and the watched states so far


class View(NamedTuple):
    """Where the tokens stand and what they may look at: rotary tables, masks, and which mask each layer uses."""

    angles: tuple[jax.Array, jax.Array]
    masks: Bool[Array, "M B T S"]
    choice: Int[np.ndarray, " L"]


class Passed(NamedTuple):
    """What comes out of a pass: the stream, keys and values of every layer if they were asked for, and watched states."""

    x: jax.Array
    kept: KeysValues | None
    seen: dict[str, jax.Array]


def pick(x: Array, at: Int[Array, "B Q"] | None) -> Array:
    """x (B,T,…) at some positions of each row, (B,Q,…); all of it where `at` is None."""
    return x if at is None else jnp.take_along_axis(x, at.reshape(*at.shape, *(1,) * (x.ndim - 2)), axis=1)


def layer_masks(cfg: DecoderConfig, mask: Bool[Array, "B T S"], columns: Int[Array, "B S"] | None = None) -> tuple[
        Bool[Array, "M B T S"], Int[np.ndarray, " L"]]:
    """The masks that the layers of a model need (full, sliding or both), and which of them each layer uses.

    A window counts distance in the row, so that padding may be on either side; `columns` says where each key stands if keys
    are not in the order of the row. The queries are the last T of the keys.
    """
    if cfg.sliding_window is None:
        return mask[None], np.zeros(cfg.num_layers, np.int32)
    steps = jnp.arange(mask.shape[-1]) if columns is None else columns
    near = mask & (steps[..., -mask.shape[-2]:, None] - steps[..., None, :] < cfg.sliding_window)
    if all(cfg.sliding_layers):
        return near[None], np.zeros(cfg.num_layers, np.int32)
    return jnp.stack([mask, near]), np.array(cfg.sliding_layers, np.int32)


def run_layers(layers: Any, x: jax.Array, view: View, execution: Execution, *, past: KeysValues | None = None,
               at: Int[Array, "B Q"] | None = None, keep: bool = False, visits: Visits | None = None,
               depth: int | None = None) -> Passed:
    """Apply the one block function L times, by `lax.scan` or by an unrolled loop over the stacked slices.

    Args:
      layers: a `Block` whose leaves are stacked, or apart where it is unrolled.
      at: x comes back (B,Q,D) at these positions. Unrolled, the last layer computes nothing but what they need.
      keep: return the keys and values of every layer.
      depth: stop after so many layers. Scanned, this way has no efficient gradient.
    """
    x = rows_apart(x, execution.mesh)
    step = partial(_step, view=view, execution=execution, keep=keep, visits=visits)
    checked = jax.checkpoint if execution.remat else lambda step: step
    if execution.scans:
        entries = (layers, jnp.asarray(view.choice), past)
        (x, seen), kept = _scanned(checked(step), entries, (x, {} if visits is None else visits.blank(layers.widths, x)), depth)
        return Passed(pick(x, at), kept, seen)
    count, seen, each = depth or len(view.choice), {}, []
    for layer in range(count):
        entry = of_layer((layers, view.choice, past), layer)
        only = at if layer == count - 1 and visits is None else None  # a visitor sees whole rows
        (x, seen), kept = checked(partial(step, layer=layer))((x, seen), entry, only)
        each.append(kept)
    kept = jax.tree.map(lambda *parts: jnp.stack(parts), *each) if keep else None
    return Passed(x if visits is None else pick(x, at), kept, seen)


def _step(carry: Carry, entry: tuple, at: jax.Array | None = None, number: jax.Array | None = None, *, view: View,
          execution: Execution, keep: bool, visits: Visits | None, layer: int | None = None) -> tuple[Carry, KeysValues | None]:
    """One layer; its index is `layer`, or within a scan `number`, which matters to visitors alone."""
    x, seen = carry[0], dict(carry[1])
    block, chosen, before = entry
    kept = block.keys_values(x, view.angles, execution) if keep else None
    visit = as_it_is if visits is None else visits.of_layer(number if layer is None else layer, seen)
    mask = jax.lax.dynamic_index_in_dim(view.masks, chosen, keepdims=False)
    x = block(x, view.angles, mask, execution, before, at, visit)
    return (rows_apart(x, execution.mesh), seen), kept


def _scanned(step: Callable, entries: tuple, carry: Carry, depth: int | None) -> tuple[Carry, KeysValues | None]:
    """All layers alike; a short pass indexes the stacked leaves, of which a slice would be a copy."""
    if depth is not None:
        return jax.lax.scan(lambda carry, i: step(carry, jax.tree.map(lambda leaf: leaf[i], entries), None, i), carry,
                            jnp.arange(depth))
    numbers = jnp.arange(len(entries[1]))
    return jax.lax.scan(lambda carry, entry: step(carry, entry[0], None, entry[1]), carry, (entries, numbers))
