"""What headers and settings say of a run, and where it is to run: all that a plan is made from."""

import functools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrunc.models import DecoderConfig, leaf_class
from jaxtrunc.planning.meshes import MeshShape
from jaxtrunc.train import TrainSettings

LAYERS = "layers/"
"""What the paths of stacked leaves begin with."""
HOST_DEVICES = 8
"""Devices that one host is taken to have, at most."""


@dataclass(frozen=True)
class Matrix:
    """One matrix that is decomposed: its shape, and the bytes per element it is stored with, in both checkpoints and in `base`."""

    shape: tuple[int, int]
    stored: int
    base: int

    @property
    def long(self) -> int:
        """The longer side."""
        return max(self.shape)

    @property
    def short(self) -> int:
        """The shorter side: the number of singular values."""
        return min(self.shape)

    @property
    def size(self) -> int:
        """Elements."""
        return self.long * self.short


@dataclass(frozen=True)
class Job:
    """The work.

    Attributes:
      leaves: path → leaf of the base model, anything with .shape and .dtype (of the file).
      matrices: those that are decomposed.
      leading: components of each that are kept; None: all.
      train: None: the fine-tuned model is given.
      tokens: of a prompt.
      prompts: per forward pass of the evaluation.
    """

    cfg: DecoderConfig
    leaves: Mapping[str, Any]
    matrices: tuple[Matrix, ...]
    leading: int | None
    train: TrainSettings | None
    tokens: int
    prompts: int

    @functools.cached_property
    def params(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Path → leaf as it is computed with, float32."""
        return {path: jax.ShapeDtypeStruct(tuple(leaf.shape), jnp.float32) for path, leaf in self.leaves.items()}

    @functools.cached_property
    def trained(self) -> dict[str, jax.ShapeDtypeStruct]:
        """The leaves that fine-tuning changes."""
        every = self.train is not None and self.train.scope == "all"
        return {path: leaf for path, leaf in self.params.items() if every or leaf_class(self.cfg, path) == "linear"}

    @property
    def cut(self) -> int:
        """Elements of all matrices that are decomposed."""
        return sum(matrix.size for matrix in self.matrices)

    def basis_bytes(self, matrix: Matrix) -> int:
        """The short-side basis of one of `matrices` as it is stored, float64."""
        return 8 * matrix.short * min(matrix.short, self.leading or matrix.short)

    @property
    def shapes(self) -> Counter[tuple[int, ...]]:
        """Shape of a matrix (in, out) or vector → how many the model has."""
        found: Counter[tuple[int, ...]] = Counter()
        for path, leaf in self.leaves.items():
            stacked = path.startswith(LAYERS)
            found[tuple(leaf.shape)[stacked:]] += leaf.shape[0] if stacked else 1
        return found


@dataclass(frozen=True)
class Machine:
    """Where the work is done.

    Attributes:
      device_memory: bytes of each device; None: the devices are CPUs and use the host's.
      host_memory: bytes of each host.
      workers: threads of a host that decompose.
    """

    mesh: MeshShape
    device_memory: int | None
    host_memory: int
    workers: int

    @property
    def shared(self) -> bool:
        """Whether what is on the devices takes memory of the host."""
        return self.device_memory is None

    @property
    def hosts(self) -> int:
        """One process each; CPU devices are all on one."""
        return 1 if self.shared else -(-self.mesh.size // HOST_DEVICES)

    @property
    def devices_per_host(self) -> int:
        """The same on all."""
        return -(-self.mesh.size // self.hosts)


def elements(leaves: Mapping[str, Any]) -> int:
    """Number of entries of all leaves."""
    return sum(math.prod(leaf.shape) for leaf in leaves.values())


def stored_bytes(leaves: Mapping[str, Any]) -> int:
    """Bytes of all leaves in their dtype."""
    return sum(math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize for leaf in leaves.values())
