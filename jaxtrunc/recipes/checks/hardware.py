"""Processes, devices, memory, and whether the devices can add numbers together."""

import os
import platform
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P

from jaxtrunc.core import cluster
from jaxtrunc.recipes.checks.finding import Finding, Findings

GIB = 2**30
SMALL_HOST = 4 * GIB  # less holds neither a 0.5B model in float32 nor its optimiser


def processes_and_devices() -> Findings:
    """How many processes there are, and which devices each of them holds."""
    kinds = Counter((device.process_index, device.device_kind) for device in jax.devices())
    devices = ", ".join(f"process {process}: {count} × {kind}" for (process, kind), count in sorted(kinds.items()))
    remedy = _unused_accelerator() if jax.default_backend() == "cpu" else ""
    return [Finding("host", f"{cluster.HOST}, {platform.platform()}, {os.cpu_count()} cores"),
            Finding("process", f"{jax.process_index()} of {jax.process_count()}"),
            Finding("backend", jax.default_backend(), remedy),
            Finding("devices", devices)]


def _unused_accelerator() -> str:
    """What to do if this machine has an accelerator that JAX does not use."""
    if os.environ.get("JAX_PLATFORMS"):
        return ""
    if Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi"):
        return "This machine has an NVIDIA GPU that JAX does not use: pip install -e '.[cuda]', with a driver that is new enough."
    if Path("/dev/accel0").exists() or Path("/dev/vfio/0").exists():
        return "This machine has an accelerator that JAX does not use: on a TPU VM, ./tpu_setup.sh installs what it needs."
    return ""


def memory() -> Findings:
    """Memory of this host, and of its devices where they tell."""
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    remedy = "That is little: fine-tune with train.accumulation and train.remat, and stay with small models." \
        if host < SMALL_HOST else ""
    return [Finding("host memory", f"{host / GIB:.1f} GiB", remedy), *map(_device_memory, jax.local_devices())]


def _device_memory(device: Any) -> Finding:
    stats = device.memory_stats() or {}
    limit, used = stats.get("bytes_limit"), stats.get("bytes_in_use", 0)
    return Finding(f"memory of device {device.id}",
                   "that of the host" if limit is None else f"{used / GIB:.1f} of {limit / GIB:.1f} GiB in use")


def collective() -> Findings:
    """A sum over all devices of all processes, checked."""
    count = jax.device_count()
    try:
        total = sum_over_devices()
    except (jax.errors.JaxRuntimeError, RuntimeError) as error:
        return [Finding("sum over devices", str(error).splitlines()[0], _NETWORK, wrong=True)]
    right = count * (count + 1) // 2
    if total != right:
        return [Finding("sum over devices", f"{total} and not {right}", _NETWORK, wrong=True)]
    return [Finding("sum over devices", f"right, over {count}")]


_NETWORK = ("The devices do not work together: check that all processes were started alike and that no firewall stands between "
            "their hosts; on GPUs NCCL_DEBUG=INFO shows more.")


def sum_over_devices() -> int:
    """1 + 2 + … over all devices, by an all-reduce; every process must call it."""
    mesh = jax.make_mesh((jax.device_count(),), ("all",), axis_types=(jax.sharding.AxisType.Auto,))
    numbers = np.arange(1, jax.device_count() + 1, dtype=np.int32)
    placed = jax.make_array_from_callback(numbers.shape, jax.NamedSharding(mesh, P("all")), lambda index: numbers[index])
    add = jax.shard_map(lambda x: jax.lax.psum(jnp.sum(x), "all"), mesh=mesh, in_specs=P("all"), out_specs=P())
    return int(jax.jit(add)(placed))
