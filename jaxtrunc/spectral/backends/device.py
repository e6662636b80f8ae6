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
from jaxtrunc.spectral.backends.eigensolver import Eigensolver
from jaxtrunc.spectral.backends.host import decompose_host


def decompose_device(stack: Float[np.ndarray, "b long r"], mesh: Mesh, leading: int | None = None,
                     eigensolver: Eigensolver | None = None) -> tuple[np.ndarray, np.ndarray]:
    """All components of a stack of tall float32 matrices, or the `leading` largest; one that comes out non-finite is redone
    on the host.

    Where the platform has float64: Gram matrices on the devices, their eigenvectors where `eigensolver` says (default: as
    measured), and σ_i = ‖x·v_i‖ on the devices, all in float64, as accurate as `gram64`. Elsewhere QR and the decomposition
    of R in float32. The stack is padded to a multiple of the devices; every program is compiled once per shape.

    Returns:
      Singular values `(b, c)` in float64, and bases `(b, r, c)` in the dtype the device worked in.
    """
    count = len(stack)
    padded = np.zeros((-(-count // mesh.size) * mesh.size, *stack.shape[1:]), np.float32)
    padded[:count] = stack
    native = has_float64(mesh)
    with jax.enable_x64(native):
        try:
            placed = jax.device_put(padded, NamedSharding(mesh, P(mesh.axis_names)))
            s, basis = _by_grams(placed, mesh, leading, eigensolver or Eigensolver()) if native else \
                map(np.asarray, compiled(mesh, "svd")(placed))
        except jax.errors.JaxRuntimeError as error:
            say(f"device decomposition of {stack.shape} failed, done on the host instead: {str(error).splitlines()[0]}")
            return _on_host(stack, leading)
    s, basis = s[:count, :leading].astype(np.float64), basis[:count, :, :leading]
    finite = np.asarray(np.isfinite(s).all(1) & np.isfinite(basis).all((1, 2)))
    return _repaired(stack, s, basis, finite, leading) if not finite.all() else (s, basis)


def _by_grams(placed: jax.Array, mesh: Mesh, leading: int | None, eigensolver: Eigensolver) -> tuple[np.ndarray, np.ndarray]:
    vectors = eigensolver(compiled(mesh, "grams")(placed), leading, mesh)
    s, basis = np.asarray(compiled(mesh, "lengths")(placed, vectors)), np.asarray(vectors)
    order = np.argsort(-s, axis=1, kind="stable")
    return np.take_along_axis(s, order, 1), np.take_along_axis(basis, order[:, None], 2)


def _grams(stack: jax.Array) -> jax.Array:
    wide = stack.astype(jnp.float64)
    return jnp.swapaxes(wide, -1, -2) @ wide


def _lengths(stack: jax.Array, vectors: jax.Array) -> jax.Array:
    return jnp.linalg.norm(stack.astype(jnp.float64) @ vectors, axis=-2)


def _svd(stack: jax.Array) -> tuple[jax.Array, jax.Array]:
    square = jnp.linalg.qr(stack, mode="r") if stack.shape[-2] > stack.shape[-1] else stack
    _, s, vt = jnp.linalg.svd(square, full_matrices=False)
    return s, jnp.swapaxes(vt, -1, -2)


STEPS: dict[str, Callable] = {"grams": _grams, "lengths": _lengths, "svd": _svd}


@functools.cache
def compiled(mesh: Mesh, step: str) -> Callable:
    """One jitted step for stacks over `mesh`: local to each device by construction (`shard_map`)."""
    spec = P(mesh.axis_names)

    def local(*stacks: jax.Array) -> jax.Array | tuple[jax.Array, jax.Array]:
        with jax.default_matmul_precision("highest"):
            return STEPS[step](*stacks)

    return jax.jit(jax.shard_map(local, mesh=mesh, in_specs=spec, out_specs=spec))


def has_float64(mesh: Mesh) -> bool:
    """TPUs have no native float64."""
    return mesh.devices.flat[0].platform != "tpu"


def _on_host(stack: np.ndarray, leading: int | None) -> tuple[np.ndarray, np.ndarray]:
    pairs = [decompose_host(x, leading) for x in stack]
    return np.stack([s for s, _ in pairs]), np.stack([basis for _, basis in pairs])


def _repaired(stack: np.ndarray, s: np.ndarray, basis: np.ndarray, finite: np.ndarray,
              leading: int | None) -> tuple[np.ndarray, np.ndarray]:
    s, basis = s.copy(), basis.copy()
    s[~finite], basis[~finite] = _on_host(stack[~finite], leading)
    return s, basis
