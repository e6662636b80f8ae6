"""Where the eigenvectors of Gram matrices that lie on the devices are found: there, or on the cores of the host."""

import functools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxtrunc.core.chunks import core_count
from jaxtrunc.spectral.backends.gram import roots_and_vectors

Route = Callable[[jax.Array, int | None, Mesh], jax.Array]
Measured = dict[str, dict[str, Any]]
"""Size r → the route that was chosen, what both took in seconds, and for how many matrices together."""


def on_device(grams: jax.Array, leading: int | None, mesh: Mesh) -> jax.Array:
    """Eigenvectors `(b, r, c)` of a stack of Gram matrices, by descending eigenvalue, in the place of the stack."""
    return jax.block_until_ready(compiled_vectors(mesh, leading)(grams))


def on_host(grams: jax.Array, leading: int | None, mesh: Mesh) -> jax.Array:
    """The same by LAPACK in a thread per core, there and back."""
    with ThreadPoolExecutor(core_count()) as pool:
        found = list(pool.map(lambda gram: roots_and_vectors(np.asfortranarray(gram), leading)[1], np.asarray(grams)))
    return jax.block_until_ready(jax.device_put(np.stack(found), NamedSharding(mesh, P(mesh.axis_names))))


ROUTES: dict[str, Route] = {"device": on_device, "host": on_host}


@dataclass(eq=False)
class Eigensolver:
    """One of the routes for each size of matrix: the one that is asked for, or the faster one of a first measurement.

    Attributes:
      asked: device, host, or None to measure.
      measured: what was, so far.
    """

    asked: str | None = None
    measured: Measured = field(default_factory=dict)

    def __call__(self, grams: jax.Array, leading: int | None, mesh: Mesh) -> jax.Array:
        """Eigenvectors `(b, r, c)` of Gram matrices `(b, r, r)` over `mesh`, by descending eigenvalue."""
        return ROUTES[self.asked or self._faster(grams, leading, mesh)](grams, leading, mesh)

    def _faster(self, grams: jax.Array, leading: int | None, mesh: Mesh) -> str:
        size = str(grams.shape[-1])
        if size not in self.measured:
            on_device(grams, leading, mesh)  # compiled here, outside of the measurement
            seconds = {name: _seconds(lambda route=route: route(grams, leading, mesh)) for name, route in ROUTES.items()}
            self.measured[size] = {"eigensolver": min(seconds, key=seconds.__getitem__), "seconds": seconds,
                                   "matrices": len(grams)}
        return self.measured[size]["eigensolver"]


@functools.cache
def compiled_vectors(mesh: Mesh, leading: int | None) -> Callable[[jax.Array], jax.Array]:
    """The jitted eigenvectors of a stack over `mesh`, local to each device by construction (`shard_map`)."""
    spec = P(mesh.axis_names)

    def local(grams: jax.Array) -> jax.Array:
        return jnp.linalg.eigh(grams, symmetrize_input=False)[1][..., ::-1][..., :leading]

    return jax.jit(jax.shard_map(local, mesh=mesh, in_specs=spec, out_specs=spec))


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
