"""The spectral layout: as many matrices of one shape as there are devices at a time, each whole on one of them."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxtrunc.core.rows_mesh import has_float64
from jaxtrunc.merge.matrix import MatrixPlan, merge_matrix


def merge_stack(plan: MatrixPlan, stack: np.ndarray, mesh: Mesh) -> list[dict[str, np.ndarray]]:
    """`merge_matrix` of every entry of `stack` `(b, T, m, n)` float32, spread over `mesh`.

    In float64 where the platform has it, else in float32. The stack is padded to a multiple of the devices.
    """
    count = len(stack)
    padded = np.zeros((-(-count // mesh.size) * mesh.size, *stack.shape[1:]), np.float32)
    padded[:count] = stack
    native = has_float64(mesh)
    with jax.enable_x64(native):
        placed = jax.device_put(padded, NamedSharding(mesh, P(mesh.axis_names)))
        found = {key: np.asarray(value) for key, value in compiled(plan, mesh, native)(placed).items()}
    return [{key: value[index] for key, value in found.items()} for index in range(count)]


@functools.cache
def compiled(plan: MatrixPlan, mesh: Mesh, native: bool) -> Callable[[jax.Array], dict[str, Any]]:
    """The jitted merge of a stack over `mesh`, local to each device by construction (`shard_map`)."""
    spec = P(mesh.axis_names)

    def one(taus: jax.Array) -> dict[str, Any]:
        return merge_matrix(plan, taus.astype(np.float64) if native else taus)

    def local(stack: jax.Array) -> dict[str, Any]:
        with jax.default_matmul_precision("highest"):
            return jax.vmap(one)(stack)

    return jax.jit(jax.shard_map(local, mesh=mesh, in_specs=spec, out_specs=spec))
