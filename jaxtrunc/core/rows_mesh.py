"""Gram matrices of rows that are divided over a mesh: one sum over the devices each."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxtrunc.core.chunks import Rows

CHUNK = 16384
"""Rows that a device multiplies at a time."""


class MeshPasses:
    """Each device holds its rows, as stored, and adds up their Gram matrix chunk by chunk.

    float64 where the platform has it. Elsewhere products are float32, which is exact for those of two bfloat16, and sums are kept
    as a pair (high, low) of float32 that together hold what float64 would.
    """

    def __init__(self, rows: Rows, mesh: Mesh):
        self.native = has_float64(mesh)
        self.dtype = np.float64 if self.native else np.float32
        self.mesh = mesh
        self.placed = _place(rows, mesh)

    def gram(self, basis: np.ndarray | None = None) -> np.ndarray:
        """(X·basis)ᵀ(X·basis) of all rows, XᵀX without a basis, in float64 on the host."""
        given = () if basis is None else (basis,)
        with jax.enable_x64(self.native):
            found = np.asarray(compiled(self.mesh, self.native, basis is not None)(self.placed, *given), np.float64)
        return found if self.native else found.sum(0)


def has_float64(mesh: Mesh) -> bool:
    """TPUs have no native float64."""
    return mesh.devices.flat[0].platform != "tpu"


@functools.cache
def compiled(mesh: Mesh, native: bool, second: bool) -> Callable[..., jax.Array]:
    """One pass over `mesh`: `(rows)`, or `(rows, basis)` for the second; returns `(d, d)`, or the stacked pair `(2, d, d)`."""

    def local(block: jax.Array, *basis: jax.Array) -> jax.Array:
        with jax.default_matmul_precision("highest"):
            return jax.lax.psum(_gram(block, native, *basis), mesh.axis_names)

    specs = (P(mesh.axis_names), P()) if second else (P(mesh.axis_names),)
    return jax.jit(jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=P(), check_vma=False))


def _gram(block: jax.Array, native: bool, *basis: jax.Array) -> jax.Array:
    """That of one device's rows: in float64, or as a pair of float32."""
    count, width = block.shape
    chunks = block.reshape(-1, min(CHUNK, count), width)

    def product(chunk: jax.Array) -> jax.Array:
        for matrix in basis:
            chunk = jnp.matmul(chunk.astype(matrix.dtype), matrix)
        chunk = chunk.astype(jnp.float64) if native else chunk
        return jnp.matmul(chunk.T, chunk, preferred_element_type=jnp.float64 if native else jnp.float32)

    if native:
        return jax.lax.scan(lambda total, chunk: (total + product(chunk), None), jnp.zeros((width, width)), chunks)[0]
    zeros = jnp.zeros((width, width), jnp.float32)
    return jnp.stack(jax.lax.scan(lambda pair, chunk: (_add(*pair, product(chunk)), None), (zeros, zeros), chunks)[0])


def _add(high: jax.Array, low: jax.Array, term: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The pair plus a term; what rounding takes from the sum goes to `low` (Knuth's two-sum)."""
    total = high + term
    part = total - high
    return total, low + ((high - (total - part)) + (term - part))


def _place(rows: Rows, mesh: Mesh) -> jax.Array:
    """The rows over the mesh in stored dtype, each device reading its own, zero rows to make them even."""
    count, width = rows.shape
    each = -(-count // mesh.size)
    each = each if each <= CHUNK else -(-each // CHUNK) * CHUNK

    def part(index: Any) -> np.ndarray:
        start = index[0].start or 0
        found = np.asarray(rows[start : min(start + each, count)])
        return np.concatenate([found, np.zeros((each - len(found), width), found.dtype)])

    with jax.enable_x64(has_float64(mesh)):
        return jax.make_array_from_callback((each * mesh.size, width), NamedSharding(mesh, P(mesh.axis_names)), part)
