"""How fast this machine multiplies matrices, measured: the peak that utilisation is a share of."""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

SECONDS, LEAST = 0.1, 3
SIDES = {"cpu": 1024}
SIDE = 8192
"""Side of the measured product: large enough to be bound by arithmetic, small enough for 20 ms; an accelerator is faster."""


def peak_flops(dtype: str, mesh: Mesh | None) -> float:
    """Operations per second of the devices of `mesh` (None: of one), at the operands' dtype as the model multiplies them.

    CPU devices of a process share its cores: there every process counts once.
    """
    if mesh is None:
        return device_flops(dtype)
    shares = mesh.devices.flat[0].platform == "cpu"
    return device_flops(dtype) * (jax.process_count() if shares else mesh.size)


@functools.cache
def device_flops(dtype: str) -> float:
    """The best of some products of two square matrices on one device, measured once per process, in about 0.2 s."""
    device = jax.local_devices()[0]
    side = SIDES.get(device.platform, SIDE)
    steps = np.arange(side, dtype=np.float32)
    x = jax.device_put(np.outer(np.sin(steps), np.cos(steps)).astype(dtype), device)
    multiply = jax.jit(lambda x: jnp.matmul(x, x, precision=jax.lax.Precision.HIGHEST if dtype == "float32" else None,
                                            preferred_element_type=jnp.float32))
    multiply(x).block_until_ready()
    return 2 * side**3 / _best(lambda: multiply(x).block_until_ready())


def _best(run) -> float:
    """Seconds of the fastest of several runs."""
    times: list[float] = []
    while len(times) < LEAST or sum(times) < SECONDS:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)
