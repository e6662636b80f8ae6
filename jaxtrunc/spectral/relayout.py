"""A sharded leaf from the compute layout to the spectral one: every matrix whole on one device, and none ever gathered."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxtrunc.core.errors import InputError

Names = tuple[str, ...]

GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, modulo 1, fill the interval evenly however many there are."""


class Stack:
    """A leaf in the spectral layout: `leaf[i]` is batch entry i, on the host of the process that has it.

    Attributes:
      shape: of the leaf, as before.
    """

    def __init__(self, shape: tuple[int, ...], slots: np.ndarray, stacked: jax.Array):
        """`stacked`: `(slots, …)`, its leading axis over all devices; `slots[i]`: where batch entry i lies in it."""
        self.shape, self._slots = shape, slots
        self._per_device = len(stacked) // len(stacked.sharding.device_set)
        self._shards = {(shard.index[0].start or 0) // self._per_device: shard.data for shard in stacked.addressable_shards}
        self._devices = {(index[0].start or 0) // self._per_device: device
                         for device, index in stacked.sharding.devices_indices_map(stacked.shape).items()}

    def owner(self, index: int) -> int:
        """The process that has batch entry `index`."""
        return self._devices[int(self._slots[index]) // self._per_device].process_index

    def __getitem__(self, index: int) -> np.ndarray:
        shard, offset = divmod(int(self._slots[index]), self._per_device)
        return np.asarray(self._shards[shard])[offset]


@dataclass(frozen=True)
class Placement:
    """Which mesh axes divide what of a leaf: each batch axis, each matrix axis; `free` ones only hold copies."""

    batch: tuple[Names, ...]
    matrix: tuple[Names, ...]
    free: Names

    @property
    def order(self) -> Names:
        """The mesh axes in the order in which they divide the stack, coarsest first."""
        return *(name for names in self.batch for name in names), *self.free, *(name for names in self.matrix for name in names)


def is_sharded(leaf: Any) -> bool:
    """Whether a leaf is a JAX array on more than one device."""
    return isinstance(leaf, jax.Array) and len(leaf.sharding.device_set) > 1


def relayout(leaf: jax.Array, batch_axes: int, turn: int = 0) -> Stack:
    """Lay every batch entry of a sharded leaf whole on one device, by one all-to-all per sharded matrix axis.

    Entries are spread evenly over the devices. Per device it takes the padded share of the leaf twice; a leaf of fewer
    entries than devices counts as one entry per device. Every process must call it.

    Args:
      leaf: `(*batch, …)` with a `NamedSharding`, on any mesh.
      batch_axes: how many leading axes count matrices; 0 for a leaf that is one matrix.
      turn: number of the leaf, so that leaves of few matrices do not all go to the first devices.

    Raises:
      InputError: the leaf has another kind of sharding.
    """
    if not isinstance(leaf.sharding, NamedSharding):
        raise InputError(f"a leaf of shape {leaf.shape} has a {type(leaf.sharding).__name__}, expected a NamedSharding; "
                         "place it with jax.device_put")
    mesh, placed = leaf.sharding.mesh, placement(leaf.sharding, leaf.ndim, batch_axes)
    blocks = _sizes(mesh.shape, placed.batch)
    entries, takers = math.prod(leaf.shape[:batch_axes]) // math.prod(blocks), mesh.size // math.prod(blocks)
    inside = spread(entries, takers, turn)
    slots = _slots(leaf.shape[:batch_axes], blocks, inside, takers)
    return Stack(leaf.shape, slots, compiled(mesh, leaf.sharding.spec, placed)(leaf, inside))


def placement(sharding: NamedSharding, ndim: int, batch_axes: int) -> Placement:
    """What a sharding says of a leaf with `ndim` axes; mesh axes of one device divide nothing."""
    shape, spec = sharding.mesh.shape, (*sharding.spec, *(None,) * ndim)[:ndim]
    axes = [tuple(name for name in ((entry,) if isinstance(entry, str) else entry or ()) if shape[name] > 1) for entry in spec]
    used = {name for names in axes for name in names}
    return Placement(tuple(axes[:batch_axes]), tuple(axes[batch_axes:]), tuple(name for name in shape if name not in used))


@functools.cache
def compiled(mesh: Mesh, spec: P, placed: Placement) -> Callable[[jax.Array, np.ndarray], jax.Array]:
    """The jitted exchange: leaf, slot of each entry of a block → `(slots, …)`, padded so that all devices hold equally many."""
    takers = mesh.size // math.prod(_sizes(mesh.shape, placed.batch))

    def local(block: jax.Array, slots: jax.Array) -> jax.Array:
        entries = block.reshape(-1, *block.shape[len(placed.batch):])
        room = takers * -(-len(entries) // takers)
        stack = jnp.zeros((room, *entries.shape[1:]), block.dtype).at[slots].set(entries)
        for name in placed.free:  # every copy keeps another part
            parts = stack.reshape(mesh.shape[name], -1, *stack.shape[1:])
            stack = jax.lax.dynamic_index_in_dim(parts, jax.lax.axis_index(name), keepdims=False)
        for axis, names in enumerate(placed.matrix, 1):
            if names:
                stack = jax.lax.all_to_all(stack, names, split_axis=0, concat_axis=axis, tiled=True)
        return stack

    return jax.jit(jax.shard_map(local, mesh=mesh, in_specs=(spec, P()), out_specs=P(placed.order)))


def spread(entries: int, takers: int, turn: int = 0) -> np.ndarray:
    """The slot of each entry where every taker has ⌈entries/takers⌉ slots: evenly, so that each process gets its share.

    Another `turn` begins at another taker; successive ones are far from each other.
    """
    index = np.arange(entries)
    taker = index * takers // entries
    first = -(-taker * entries // takers)
    begin = int(turn * GOLDEN % 1 * takers)
    return (taker + begin) % takers * -(-entries // takers) + index - first


def _slots(batch: Sequence[int], blocks: Sequence[int], inside: np.ndarray, takers: int) -> np.ndarray:
    """The slot of every batch entry: which block of the batch it lies in, and where in that block."""
    batch, blocks = (1, *batch), (1, *blocks)
    sizes = tuple(size // count for size, count in zip(batch, blocks, strict=True))
    places = np.indices(batch).reshape(len(batch), -1)
    block = np.ravel_multi_index(tuple(place // size for place, size in zip(places, sizes, strict=True)), blocks)
    entry = np.ravel_multi_index(tuple(place % size for place, size in zip(places, sizes, strict=True)), sizes)
    return block * (takers * -(-len(inside) // takers)) + inside[entry]


def _sizes(mesh_shape: Mapping[str, int], axes: Sequence[Names]) -> list[int]:
    return [math.prod(mesh_shape[name] for name in names) for names in axes]
