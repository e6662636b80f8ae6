"""Stacked leaves as one array per layer, for unrolled layers on the CPU: there XLA copies a slice of a stack before it is used."""

import weakref
from collections.abc import Callable
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


class Operands:
    """Parameters in the dtype in which products read them. A cast is made once, and kept for as long as the array lives.

    In every program that reads it, XLA would cast a kernel anew.
    """

    def __init__(self, dtype: np.dtype):
        self._dtype, self._kept = dtype, dict[int, tuple[weakref.ref, Any]]()

    def layers_apart(self, params: Params) -> Params:
        """The same parameters with the layers apart, their kernels cast; what needs no cast is not copied."""
        return {**params, LAYERS: jax.tree_util.tree_map_with_path(self._apart, params[LAYERS])}

    def cast(self, leaf: jax.Array) -> jax.Array:
        """One array."""
        return leaf if leaf.dtype == self._dtype else self._once(leaf, lambda: leaf.astype(self._dtype))

    def _apart(self, path: tuple, leaf: jax.Array) -> Apart:
        if self._dtype != leaf.dtype and jax.tree_util.keystr(path[-1:], simple=True) == KERNEL:
            return self._once(leaf, lambda: Apart(_cast(leaf, self._dtype)))
        return Apart(jax.device_put(list(np.asarray(leaf)), may_alias=True))

    def _once(self, leaf: jax.Array, make: Callable[[], Any]) -> Any:
        key, kept = id(leaf), self._kept
        if key not in kept:
            kept[key] = weakref.ref(leaf, lambda _: kept.pop(key, None)), make()
        return kept[key][1]


@partial(jax.jit, static_argnums=1)
def _cast(leaf: jax.Array, dtype: np.dtype) -> tuple[jax.Array, ...]:
    return tuple(layer.astype(dtype) for layer in leaf)
