"""One of two processes that decompose together; test_decompose_processes.py starts it: DIRECTORY PORT INDEX."""

import sys
from pathlib import Path

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from matrices import gaussian

from jaxtrunc.core.mesh import compute_mesh
from jaxtrunc.spectral import decompose_into, references, store

SHAPES = {"mlp/kernel": (7, 64, 48), "attn/kernel": (7, 48, 48), "head/kernel": (48, 1600)}
BASE = {path: gaussian(1, int(np.prod(shape)), 1, 0.02).reshape(shape) for path, shape in SHAPES.items()}
FT = {path: leaf + gaussian(1, leaf.size, 2).reshape(leaf.shape) for path, leaf in BASE.items()}
FT["attn/kernel"][3] = BASE["attn/kernel"][3]
REFS = references(SHAPES)
MESHES = ((2, 2, 2), (1, 4, 2), (8, 1, 1), (1, 1, 8))


class Lazy:
    """A leaf that is read matrix by matrix, as checkpoints are."""

    def __init__(self, leaf: np.ndarray, batch_axes: int):
        self._leaf, self.shape, self._batch_axes = leaf, leaf.shape, batch_axes

    def __getitem__(self, index: int) -> np.ndarray:
        return self._leaf[index] if self._batch_axes else self._leaf


def lazy(tree: dict[str, np.ndarray]) -> dict[str, Lazy]:
    return {path: Lazy(leaf, leaf.ndim - 2) for path, leaf in tree.items()}


def sharded(tree: dict[str, np.ndarray], sizes: tuple[int, int, int]) -> dict[str, jax.Array]:
    """Kernels as the compute layout has them; no process sees a whole one."""
    placed = {}
    for path, leaf in tree.items():
        sharding = NamedSharding(compute_mesh(*sizes), P(*(None,) * (leaf.ndim - 2), "fsdp", "tensor"))
        placed[path] = jax.make_array_from_callback(leaf.shape, sharding, lambda index, leaf=leaf: leaf[index])
        assert not placed[path].is_fully_addressable
    return placed


def killed_after(matrices: int):
    """Progress that ends the process's work in the middle."""
    done = 0

    def advance(steps: int = 1, note: str = "") -> None:
        nonlocal done
        done += steps
        if done > matrices:
            raise KeyboardInterrupt

    return advance


def work(directory: Path) -> None:
    for backend in ("gram64", "device"):
        decompose_into(directory / backend, lazy(BASE), lazy(FT), REFS, backend=backend)
    for sizes in MESHES:
        decompose_into(directory / f"sharded {sizes}", sharded(BASE, sizes), sharded(FT, sizes), REFS, backend="gram64")
    decompose_into(directory / "begun by one", sharded(BASE, MESHES[0]), sharded(FT, MESHES[0]), REFS)
    store.CHUNK_BYTES = 1  # each matrix is stored as soon as it is known
    try:
        decompose_into(directory / "killed", lazy(BASE), lazy(FT), REFS, advance=killed_after(3))
    except KeyboardInterrupt:
        return
    raise AssertionError("the work was to be cut short")


if __name__ == "__main__":
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{sys.argv[2]}", 2, int(sys.argv[3]))
    work(Path(sys.argv[1]))
    jax.distributed.shutdown()
