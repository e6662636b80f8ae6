"""Matrices that several processes rebuilt on their hosts, brought into the compute layout without gathering any of them."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jaxtrunc.core.mesh import COMPUTE_AXES
from jaxtrunc.spectral.relayout import spread


def holders(shape: tuple[int, ...], layout: NamedSharding) -> list[int]:
    """The process that has to give each matrix of a leaf; about equally many each."""
    per_device = _per_device(shape, layout)
    places = _stack(layout).devices_indices_map((per_device * layout.mesh.size,))
    owner = {(index[0].start or 0) // per_device: device.process_index for device, index in places.items()}
    return [owner[slot // per_device] for slot in _slots(shape, layout).tolist()]


def assemble(shape: tuple[int, ...], layout: NamedSharding, matrix: Callable[[int], np.ndarray]) -> jax.Array:
    """The float32 leaf `shape` in `layout`, from matrices that lie on the hosts; every process must call it.

    On the way each device holds its share of the stack, whole matrices, and sends every other device its part of them.

    Args:
      shape: `(L, in, out)`, or `(in, out)` for a leaf that is one matrix.
      layout: over a compute mesh, the stack axis undivided.
      matrix: number in the stack → `(in, out)`; asked only in the process that `holders` names.
    """
    slots, per_device = _slots(shape, layout), _per_device(shape, layout)

    def part(index: Any) -> np.ndarray:
        block = np.zeros((per_device, *shape[-2:]), np.float32)
        first = index[0].start or 0
        for number in np.flatnonzero((slots >= first) & (slots < first + per_device)):
            block[slots[number] - first] = matrix(int(number))
        return block

    stacked = (per_device * layout.mesh.size, *shape[-2:])
    return _exchange(shape, layout)(jax.make_array_from_callback(stacked, _stack(layout), part))


@functools.cache
def _exchange(shape: tuple[int, ...], layout: NamedSharding) -> Callable[[jax.Array], jax.Array]:
    """The compiled exchange of a stack over all devices: one all-to-all for each mesh axis that divides the matrices."""
    ends, slots = (*layout.spec, *(None,) * len(shape))[len(shape) - 2:len(shape)], _slots(shape, layout)

    def local(block: jax.Array) -> jax.Array:
        for axis in reversed(COMPUTE_AXES):  # the innermost first, so that the stack stays in order
            if axis in ends:
                block = jax.lax.all_to_all(block, axis, split_axis=1 + ends.index(axis), concat_axis=0, tiled=True)
            else:
                block = jax.lax.all_gather(block, axis, axis=0, tiled=True)
        return block[slots]

    # unchecked: JAX cannot know that a gathered stack is the same all along the axis
    exchange = jax.shard_map(local, mesh=layout.mesh, in_specs=P(COMPUTE_AXES), out_specs=P(None, *ends), check_vma=False)
    return jax.jit(lambda stack: exchange(stack).reshape(shape), out_shardings=layout)


def _stack(layout: NamedSharding) -> NamedSharding:
    """Whole matrices, the stack over all devices."""
    return NamedSharding(layout.mesh, P(COMPUTE_AXES))


def _slots(shape: tuple[int, ...], layout: NamedSharding) -> np.ndarray:
    """Where each matrix lies in the stack over all devices, which is padded so that it divides."""
    return spread(_entries(shape), layout.mesh.size)


def _per_device(shape: tuple[int, ...], layout: NamedSharding) -> int:
    return -(-_entries(shape) // layout.mesh.size)


def _entries(shape: tuple[int, ...]) -> int:
    return shape[0] if len(shape) == 3 else 1
