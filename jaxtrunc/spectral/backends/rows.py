"""A matrix too long for one device, such as a vocabulary: rows over the whole mesh, one sum of Gram matrices."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Float

from jaxtrunc.core.progress import say
from jaxtrunc.spectral.backends.device import has_float64
from jaxtrunc.spectral.backends.gram32 import LEADING
from jaxtrunc.spectral.backends.gram64 import decompose_gram64

RATIO = 16
"""From this ratio of its sides on, a matrix is cheaper by its Gram matrix, even though each device solves that."""

BYTES = 4 << 30
"""A float64 matrix of more bytes is not put on one device."""


def by_rows(shape: tuple[int, int]) -> bool:
    """Whether a tall matrix `(long, r)` is divided by rows instead of lying whole on one device."""
    return shape[0] > RATIO * shape[1] or 8 * shape[0] * shape[1] > BYTES


def decompose_rows(tall: Float[np.ndarray, "long r"], mesh: Mesh) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, "r c"]]:
    """The components of one tall float32 matrix by its float64 Gram matrix, each device holding some rows.

    σ_i is the float64 norm of X·v_i, as accurate as from `gram64`. Where the platform has no float64, it is float32, and only
    components above s₁/128 are returned, to about 1e-3.
    """
    native = has_float64(mesh)
    rows = -(-len(tall) // mesh.size) * mesh.size
    padded = tall if rows == len(tall) else np.concatenate([tall, np.zeros((rows - len(tall), tall.shape[1]), np.float32)])
    with jax.enable_x64(native):
        try:
            placed = jax.device_put(padded, NamedSharding(mesh, P(mesh.axis_names)))
            s, basis = map(np.asarray, compiled(mesh, jnp.float64 if native else jnp.float32)(placed))
        except jax.errors.JaxRuntimeError as error:
            say(f"device decomposition of {tall.shape} failed, done on the host instead: {str(error).splitlines()[0]}")
            return decompose_gram64(tall)
    if not (np.isfinite(s).all() and np.isfinite(basis).all()):
        return decompose_gram64(tall)
    order = np.argsort(-s, kind="stable")
    order = order if native else order[s[order] >= LEADING * s.max()]
    return s[order].astype(np.float64), basis[:, order]


@functools.cache
def compiled(mesh: Mesh, dtype: type) -> Callable[[jax.Array], tuple[jax.Array, jax.Array]]:
    """The jitted decomposition of rows over `mesh`: two all-reduces, of the Gram matrix and of the squared norms."""
    rows = P(mesh.axis_names)

    def local(block: jax.Array) -> tuple[jax.Array, jax.Array]:
        with jax.default_matmul_precision("highest"):
            wide = block.astype(dtype)
            gram = jax.lax.psum(wide.T @ wide, mesh.axis_names)
            _, vectors = jnp.linalg.eigh(gram, symmetrize_input=False)
            return jnp.sqrt(jax.lax.psum(jnp.sum((wide @ vectors) ** 2, axis=0), mesh.axis_names)), vectors

    return jax.jit(jax.shard_map(local, mesh=mesh, in_specs=rows, out_specs=(P(), P())))
