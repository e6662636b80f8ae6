"""On the accelerators: same-shape matrices as one stack over the whole mesh, each matrix whole on one device."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Float

from jaxtrunc.core.progress import say
from jaxtrunc.core.rows_mesh import has_float64
from jaxtrunc.spectral.backends.host import decompose_host


def decompose_device(stack: Float[np.ndarray, "b long r"], mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """All components of a stack of tall float32 matrices; a matrix that comes out non-finite is redone on the host.

    float64 where the platform has it, else float32. The stack is padded to a multiple of the devices.

    Returns:
      Singular values `(b, r)` in float64, and bases `(b, r, r)` in the dtype the device worked in.
    """
    count = len(stack)
    padded = np.zeros((-(-count // mesh.size) * mesh.size, *stack.shape[1:]), np.float32)
    padded[:count] = stack
    native = has_float64(mesh)
    with jax.enable_x64(native):
        try:
            placed = jax.device_put(padded, NamedSharding(mesh, P(mesh.axis_names)))
            s, basis = map(np.asarray, compiled(mesh, jnp.float64 if native else jnp.float32)(placed))
        except jax.errors.JaxRuntimeError as error:
            say(f"device decomposition of {stack.shape} failed, done on the host instead: {str(error).splitlines()[0]}")
            return _on_host(stack)
    s, basis = s[:count].astype(np.float64), basis[:count]
    finite = np.asarray(np.isfinite(s).all(1) & np.isfinite(basis).all((1, 2)))
    return _repaired(stack, s, basis, finite) if not finite.all() else (s, basis)


@functools.cache
def compiled(mesh: Mesh, dtype: type) -> Callable[[jax.Array], tuple[jax.Array, jax.Array]]:
    """The jitted decomposition of a stack over `mesh`: local to each device by construction (`shard_map`)."""
    spec = P(mesh.axis_names)

    def local(stack: jax.Array) -> tuple[jax.Array, jax.Array]:
        with jax.default_matmul_precision("highest"):
            return _decompose(stack.astype(dtype))

    return jax.jit(jax.shard_map(local, mesh=mesh, in_specs=spec, out_specs=(spec, spec)))


def _decompose(stack: jax.Array) -> tuple[jax.Array, jax.Array]:
    square = jnp.linalg.qr(stack, mode="r") if stack.shape[-2] > stack.shape[-1] else stack
    _, s, vt = jnp.linalg.svd(square, full_matrices=False)
    return s, jnp.swapaxes(vt, -1, -2)


def _on_host(stack: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pairs = [decompose_host(x) for x in stack]
    return np.stack([s for s, _ in pairs]), np.stack([basis for _, basis in pairs])


def _repaired(stack: np.ndarray, s: np.ndarray, basis: np.ndarray, finite: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    s, basis = s.copy(), basis.copy()
    s[~finite], basis[~finite] = _on_host(stack[~finite])
    return s, basis
