"""Stacked leaves as one array per layer, for unrolled layers on the CPU: there XLA copies a slice of a stack before it is used."""

from functools import partial
from typing import Any

import jax
import numpy as np

from jaxtrunc.core.trees import Params

LAYERS, KERNEL = "layers", "kernel"


@jax.tree_util.register_pytree_node_class
class Apart:
    """A leaf `(L, …)` as L arrays; `leaf[layer]` is one of them, as of a stack."""

    def __init__(self, arrays: Any):
        self.arrays = tuple(arrays)

    def __getitem__(self, layer: int) -> jax.Array:
        return self.arrays[layer]

    def tree_flatten(self) -> tuple[tuple, None]:
        """The arrays are the children."""
        return self.arrays, None

    @classmethod
    def tree_unflatten(cls, _: None, arrays: Any) -> "Apart":
        """The same from other children."""
        return cls(arrays)


def of_layer(stacked: Any, layer: int) -> Any:
    """What one layer has of a tree of stacks."""
    return jax.tree.map(lambda leaf: leaf[layer], stacked, is_leaf=lambda leaf: isinstance(leaf, Apart))


def layers_apart(params: Params, compute_dtype: np.dtype) -> Params:
    """The same parameters with the layers apart, and their kernels in the dtype in which products read them.

    In float32 nothing is copied; in another dtype each kernel is cast here once and not in every program.
    """
    apart = jax.tree_util.tree_map_with_path(partial(_apart, compute_dtype), params[LAYERS])
    return {**params, LAYERS: apart}


def _apart(compute_dtype: np.dtype, path: tuple, leaf: jax.Array) -> Apart:
    if compute_dtype != leaf.dtype and jax.tree_util.keystr(path[-1:], simple=True) == KERNEL:
        return Apart(_cast(leaf, compute_dtype))
    return Apart(jax.device_put(list(np.asarray(leaf)), may_alias=True))


@partial(jax.jit, static_argnums=1)
def _cast(leaf: jax.Array, dtype: np.dtype) -> tuple[jax.Array, ...]:
    return tuple(layer.astype(dtype) for layer in leaf)
