"""The two layouts: *compute* (data, fsdp, tensor) for models, *spectral* (stacked matrices over all devices)."""

import math
from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxtrunc.core.errors import InputError

COMPUTE_AXES = ("data", "fsdp", "tensor")


def compute_mesh(data: int | None = None, fsdp: int = 1, tensor: int = 1) -> Mesh:
    """Mesh over (data, fsdp, tensor); `data=None` takes the devices that the other two leave.

    Raises:
      InputError: the sizes do not multiply to the number of devices.
    """
    count = jax.device_count()
    data = count // max(fsdp * tensor, 1) if data is None else data
    if min(data, fsdp, tensor) < 1 or data * fsdp * tensor != count:
        raise InputError(f"mesh: data={data} × fsdp={fsdp} × tensor={tensor} is not the number of devices, {count}")
    return jax.make_mesh((data, fsdp, tensor), COMPUTE_AXES, axis_types=(AxisType.Auto,) * 3)


def spectral_mesh() -> Mesh:
    """One Explicit axis `stack` over every device: a decomposition that would gather is an error, not a slow surprise."""
    return jax.make_mesh((jax.device_count(),), ("stack",), axis_types=(AxisType.Explicit,))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Rows of a batch over the data and fsdp axes."""
    return NamedSharding(mesh, P(("data", "fsdp")))


def batch_divisor(mesh: Mesh) -> int:
    """The number of rows in a batch must be a multiple of this."""
    return mesh.shape["data"] * mesh.shape["fsdp"]


def param_shardings(mesh: Mesh, shapes: Mapping[str, Any]) -> dict[str, NamedSharding]:
    """Sharding by path: kernels split their input over `fsdp` and their output over `tensor`, the rest is replicated.

    Args:
      mesh: a compute mesh.
      shapes: `{path: anything with .shape}`; kernels are `(…, in, out)`.
    """
    return {path: NamedSharding(mesh, _spec(mesh, path, leaf.shape)) for path, leaf in shapes.items()}


def _spec(mesh: Mesh, path: str, shape: tuple[int, ...]) -> P:
    if not path.endswith(("kernel", "embedding")) or len(shape) < 2:
        return P()
    ends = tuple(axis if math.gcd(size, mesh.shape[axis]) == mesh.shape[axis] else None
                 for axis, size in zip(("fsdp", "tensor"), shape[-2:], strict=True))
    return P(*(None,) * (len(shape) - 2), *ends)
