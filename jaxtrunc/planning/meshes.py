"""Meshes that need not exist: their sizes as typed, and the layout of arrays over them by arithmetic."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jax.sharding import AbstractMesh, AxisType

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.mesh import COMPUTE_AXES, param_shardings

LARGEST = 4096
"""Devices of the largest mesh that is suggested."""


@dataclass(frozen=True)
class MeshShape:
    """Sizes of a compute mesh; nothing is known of its devices."""

    data: int = 1
    fsdp: int = 1
    tensor: int = 1

    @property
    def size(self) -> int:
        """The number of devices."""
        return self.data * self.fsdp * self.tensor

    @property
    def rows(self) -> int:
        """Into how many parts the rows of a batch are divided."""
        return self.data * self.fsdp

    def __str__(self) -> str:
        return ",".join(f"{axis}={size}" for axis, size in asdict(self).items())


def parse_mesh(text: str) -> MeshShape:
    """`data=1,fsdp=8,tensor=1`; an axis that is left out has size 1.

    Raises:
      InputError: an unknown or repeated axis, or a size that is no whole number of at least 1.
    """
    sizes: dict[str, int] = {}
    for part in text.split(","):
        axis, _, size = (word.strip() for word in part.partition("="))
        if axis not in COMPUTE_AXES or axis in sizes or not size.isascii() or not size.isdigit() or int(size) < 1:
            raise InputError(f"--mesh: expected sizes of at least 1 such as data=1,fsdp=8,tensor=1, found '{part.strip()}'")
        sizes[axis] = int(size)
    return MeshShape(**sizes)


def candidates() -> Iterator[MeshShape]:
    """Meshes of 1, 2, 4, … devices along fsdp and tensor, the fewest devices and the least tensor first."""
    for count in range(LARGEST.bit_length()):
        for tensor in range(count + 1):
            yield MeshShape(fsdp=2 ** (count - tensor), tensor=2**tensor)


def bytes_per_device(leaves: Mapping[str, Any], mesh: MeshShape) -> int:
    """What one device holds of leaves laid out over a mesh, exactly.

    Args:
      leaves: `{path: anything with .shape and .dtype}`.
    """
    abstract: Any = AbstractMesh((mesh.data, mesh.fsdp, mesh.tensor), COMPUTE_AXES, axis_types=(AxisType.Auto,) * 3)
    layout = param_shardings(abstract, leaves)
    return sum(math.prod(layout[path].shard_shape(tuple(leaf.shape))) * np.dtype(leaf.dtype).itemsize
               for path, leaf in leaves.items())
