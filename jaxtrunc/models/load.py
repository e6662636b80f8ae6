"""Weights from disk onto the devices, one leaf at a time: never a second copy of the model."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrunc.core.trees import Params, unflatten
from jaxtrunc.models.source import LazyLeaf


def load_params(leaves: Mapping[str, Any], dtype: Any = jnp.float32, shardings: Mapping[str, Any] | None = None) -> Params:
    """The parameter tree of leaves on disk.

    Args:
        leaves: `{path: LazyLeaf}`, or leaves with an adapter added.
        dtype: of the arrays that come back, whatever the files hold.
        shardings: `{path: jax.sharding.Sharding}`; each device then gets its own part alone. None puts everything on the
            default device.
    """
    single = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return unflatten({path: load_leaf(leaf, dtype, (shardings or {}).get(path, single)) for path, leaf in leaves.items()})


def load_leaf(leaf: LazyLeaf, dtype: Any, sharding: jax.sharding.Sharding) -> jax.Array:
    """One leaf, of which every process reads only the slices of its devices, each once however many devices hold it."""
    read: dict[str, np.ndarray] = {}

    def part(index: Any) -> np.ndarray:
        if str(index) not in read:
            read[str(index)] = _part(leaf, index, np.dtype(dtype))
        return read[str(index)]

    return jax.make_array_from_callback(leaf.shape, sharding, part)


def _part(leaf: LazyLeaf, index: tuple[slice, ...], dtype: np.dtype) -> np.ndarray:
    """The slice `index` of a leaf as one fresh buffer, filled layer by layer."""
    if not leaf.stacked:
        return np.ascontiguousarray(leaf.part(0, index), dtype)
    layers = range(*index[0].indices(leaf.shape[0]))
    sizes = [len(range(*part.indices(size))) for part, size in zip(index[1:], leaf.shape[1:], strict=True)]
    buffer = np.empty((len(layers), *sizes), dtype)
    for row, layer in enumerate(layers):
        buffer[row] = leaf.part(layer, index[1:])
        leaf.release(layer)
    return buffer
