"""Many matrices of one shape, one after the other on a device, divided over the devices of a mesh."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

Stack = Any


def each(one: Callable[[Any], Any], stack: Stack, mesh: Mesh | None, together: bool = False) -> Stack:
    """Map `one` over the first axis of all arrays.

    A loop, and not `vmap`: under `vmap` a `cond` computes both of its branches. With a mesh every device loops over its own
    matrices, each whole: one reshard in and one out, and no collective inside.

    Args:
      together: `one` has no branches and takes the whole stack at once.
    """
    mapped = jax.vmap(one) if together else lambda stack: jax.lax.map(one, stack)
    if mesh is None:
        return mapped(stack)
    count = len(jax.tree.leaves(stack)[0])
    short = -count % mesh.size
    padded = jax.tree.map(lambda x: jnp.pad(x, ((0, short),) + ((0, 0),) * (x.ndim - 1)), stack)
    spec = PartitionSpec(mesh.axis_names)
    done = jax.shard_map(mapped, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)(padded)
    return jax.tree.map(lambda x: x[:count], done)
