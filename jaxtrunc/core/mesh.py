"""The two layouts: *compute* (data, fsdp, tensor) for models, *spectral* (stacked matrices over all devices)."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, Sharding
from jax.sharding import PartitionSpec as P

from jaxtrunc.core.errors import InputError

COMPUTE_AXES = ("data", "fsdp", "tensor")
# What splits the last two axes of a matrix, by the last two parts of its path; other kernels are `(fsdp, tensor)`.
# A block needs one all-reduce over `tensor` after attention and one after the MLP (Shoeybi et al. 2019, arXiv 1909.08053):
# what one kernel divides by its output, the next (`o_proj`, `down_proj`) takes divided by its input.
# The vocabulary lies over `tensor` in the embedding and in the head, so that logits are divided over it too.
SPLITS = {"o_proj/kernel": ("tensor", "fsdp"), "down_proj/kernel": ("tensor", "fsdp"), "embed/embedding": ("tensor", "fsdp")}


def compute_mesh(data: int | None = None, fsdp: int = 1, tensor: int = 1) -> Mesh:
    """Mesh over (data, fsdp, tensor) of all processes; `data=None` takes the devices that the other two leave.

    Neighbours along `tensor` are neighbours in the machine too: where the network gives no better order, the devices of a
    process stay together, and `data` reaches over processes first.

    Raises:
      InputError: the sizes do not multiply to the number of devices.
    """
    count = jax.device_count()
    asked = " × ".join(f"{axis}={size}" for axis, size in zip(COMPUTE_AXES, (data, fsdp, tensor), strict=True) if size is not None)
    data = count // max(fsdp * tensor, 1) if data is None else data
    if min(data, fsdp, tensor) < 1 or data * fsdp * tensor != count:
        raise InputError(f"mesh: {asked} does not give the number of devices, {count}{_processes()}")
    devices = mesh_utils.create_device_mesh((data, fsdp, tensor), allow_split_physical_axes=True)
    return Mesh(devices, COMPUTE_AXES, axis_types=(AxisType.Auto,) * 3)


def _processes() -> str:
    """How many processes the devices belong to, where there are several."""
    return "" if jax.process_count() == 1 else f" ({jax.process_count()} processes of {jax.local_device_count()})"


def spectral_mesh() -> Mesh:
    """One Explicit axis `stack` over the devices of this process, which has its own matrices to decompose.

    A decomposition that would gather is an error, not a slow surprise.
    """
    return jax.make_mesh((jax.local_device_count(),), ("stack",), devices=jax.local_devices(), axis_types=(AxisType.Explicit,))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Rows of a batch over the data and fsdp axes."""
    return NamedSharding(mesh, P(("data", "fsdp")))


def batch_divisor(mesh: Mesh) -> int:
    """The number of rows in a batch must be a multiple of this."""
    return mesh.shape["data"] * mesh.shape["fsdp"]


def replicated(mesh: Mesh) -> NamedSharding:
    """A whole copy on every device: what every process can read."""
    return NamedSharding(mesh, P())


def param_shardings(mesh: Mesh, shapes: Mapping[str, Any]) -> dict[str, NamedSharding]:
    """Sharding by path: matrices are divided over `fsdp` and `tensor` as `SPLITS` says, the rest is replicated.

    An axis whose size is no multiple of the mesh axis stays whole.

    Args:
      mesh: a compute mesh.
      shapes: `{path: anything with .shape}`; kernels are `(…, in, out)`.
    """
    return {path: NamedSharding(mesh, _spec(mesh, path, leaf.shape)) for path, leaf in shapes.items()}


def _spec(mesh: Mesh, path: str, shape: tuple[int, ...]) -> P:
    if not path.endswith(("kernel", "embedding")) or len(shape) < 2:
        return P()
    splits = SPLITS.get("/".join(path.split("/")[-2:]), ("fsdp", "tensor"))
    ends = (axis if size % mesh.shape[axis] == 0 else None for axis, size in zip(splits, shape[-2:], strict=True))
    return P(*(None,) * (len(shape) - 2), *ends)


def rows_apart(activations: jax.Array, mesh: Mesh | None) -> jax.Array:
    """Inside a compiled function: activations `(B, …)` that each device holds for its own rows, whole.

    Said once a layer, it makes the weights travel to the rows (each layer's kernels are gathered along `fsdp` when it is their
    turn, and let go). Left to itself XLA divides activations by their width, as the kernels are, and each device has all rows.
    """
    return activations if mesh is None else jax.lax.with_sharding_constraint(activations, batch_sharding(mesh))


def whole_along_fsdp(matrix: jax.Array, path: str, mesh: Mesh | None) -> jax.Array:
    """Inside a compiled function: a parameter as a pass needs it, divided over `tensor` alone."""
    if mesh is None:
        return matrix
    spec = P(*(axis if axis == "tensor" else None for axis in _spec(mesh, path, matrix.shape)))
    return jax.lax.with_sharding_constraint(matrix, NamedSharding(mesh, spec))


def place(array: Any, sharding: Sharding) -> jax.Array:
    """An array that this host holds whole, laid out so; each process gives its own devices their parts and no more."""
    host = np.asarray(array)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])
