"""Merging trees of one's own models: `(base, [finetuned], …) -> params`, and the orthogonal merge of task vectors."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.trees import Params, flatten, unflatten
from jaxtrunc.merge.settings import MergeSettings, Rank, Scope, Sigma, check
from jaxtrunc.merge.stream import merge_tensors
from jaxtrunc.merge.tensors import Inputs, Slot
from jaxtrunc.spectral.relayout import is_sharded, relayout
from jaxtrunc.spectral.view import is_stacked_vector


def merge(base: Params | None, finetuned: Sequence[Params], method: str, *, weights: Sequence[float] | None = None,
          density: float | Sequence[float] = 1.0, lam: float = 1.0, normalize: bool | None = None, rank: Rank = "1/T",
          sigma: Sigma = "keep", scope: Scope = "tensor", exclude: str | None = None, seed: int = 0,
          rcond_sv: float = 1e-6, mesh: Mesh | None = None) -> Params:
    """The merged parameters, in the dtypes of `base` (of the first model without one), summed in float32.

    Args:
      base: θ_0, a nested dict of arrays; None for `linear` alone. Kernels are `(…, in, out)`, and every batch entry is a matrix of
        its own.
      finetuned: θ_1 … θ_T, of the same structure. Leaves sharded over the devices of this process are laid out anew, each matrix
        whole on one device.
      method: linear, task_arithmetic, ties, dare_linear, dare_ties, tsv_merge, iso_c, iso_cts, knots_ties or orthogonal.
      weights: one per model, multiplying its task vector; default 1.
      density: share of entries that TIES and DARE keep, one for all or one per model.
      mesh: for the spectral methods, of this process's devices; None: threads of the host.

    Other arguments are those of `MergeSettings`.

    Raises:
      InputError: trees that differ, values that make no sense or are not finite.
    """
    weights = (1.0,) * len(finetuned) if weights is None else tuple(weights)
    densities = (density,) * len(finetuned) if isinstance(density, (int, float)) else tuple(density)
    settings = MergeSettings(method, weights, densities, lam, normalize, rank, sigma, scope, exclude, seed, rcond_sv)
    if len(weights) != len(finetuned):
        raise InputError(f"weights: expected one per model, {len(finetuned)}, found {len(weights)}")
    check(settings)
    if base is None and settings.how.name != "linear":
        raise InputError(f"base: {settings.how.name} needs the base model; only linear does without")
    trees = [flatten(tree) for tree in (*(() if base is None else (base,)), *finetuned)]
    _check_alike(trees)
    return unflatten(_merged(trees, settings, mesh, with_base=base is not None))


def merge_orthogonal(task_vectors: Sequence[Params], *, rank: Rank = "1/T", sigma: Sigma = "keep", lam: float = 1.0,
                     exclude: str | None = None, rcond_sv: float = 1e-6, mesh: Mesh | None = None) -> Params:
    """λ·msign(Û)·diag(s)·msign(V̂)ᵀ of every matrix of the task vectors, λ times their mean elsewhere.

    Arguments as of `merge`; arXiv 2604.04231, section on model merging.
    """
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), task_vectors[0])
    return merge(zeros, task_vectors, "orthogonal", rank=rank, sigma=sigma, lam=lam, exclude=exclude, rcond_sv=rcond_sv,
                 mesh=mesh)


def slots_of(leaves: Mapping[str, Any]) -> list[Slot]:
    """Every tensor of a tree: batch entries of kernels one by one, all else whole."""
    slots = []
    for path, leaf in leaves.items():
        if len(leaf.shape) < 2 or is_stacked_vector(path, leaf.shape):
            slots.append(Slot(path, path, 0, False, tuple(leaf.shape), False))
            continue
        count, shape = int(np.prod(leaf.shape[:-2])), tuple(leaf.shape[-2:])
        names = [path] if len(leaf.shape) == 2 else [f"{path}.{index}" for index in range(count)]
        slots += [Slot(name, path, index, False, shape, True) for index, name in enumerate(names)]
    return slots


def _merged(trees: Sequence[Mapping[str, Any]], settings: MergeSettings, mesh: Mesh | None, *, with_base: bool) -> dict[str, Any]:
    slots = slots_of(trees[0])
    views = [{path: _entries(leaf, path, turn) for turn, (path, leaf) in enumerate(tree.items())} for tree in trees]
    found = {path: np.empty(leaf.shape, np.float32) for path, leaf in trees[0].items()}

    def opened(slot: Slot) -> Inputs:
        leaves = [view[slot.path] for view in views]
        return Inputs(slot, leaves[0], leaves[1:]) if with_base else Inputs(slot, None, leaves)

    for slot, merged in merge_tensors(slots, opened, settings, mesh):
        found[slot.path].reshape(-1, *slot.shape)[slot.index] = merged.tensor
    return {path: _like(found[path], leaf) for path, leaf in trees[0].items()}


def _entries(leaf: Any, path: str, turn: int) -> Any:
    """`entries[index]` of a leaf as `slots_of` counts them."""
    whole = len(leaf.shape) < 2 or is_stacked_vector(path, leaf.shape)
    if is_sharded(leaf):
        return relayout(leaf, 0 if whole else len(leaf.shape) - 2, turn)
    array = np.asarray(leaf)
    return array[None] if whole else array.reshape(-1, *leaf.shape[-2:])


def _like(array: np.ndarray, leaf: Any) -> Any:
    """Cast once, and placed as the leaf was."""
    cast = array.astype(leaf.dtype)
    return jax.device_put(cast, leaf.sharding) if isinstance(leaf, jax.Array) else cast


def _check_alike(trees: Sequence[Mapping[str, Any]]) -> None:
    for number, tree in enumerate(trees):
        if different := sorted(tree.keys() ^ trees[0].keys()):
            raise InputError(f"{different[0]}: not in every tree; merge models of one architecture")
        for path, leaf in tree.items():
            if leaf.shape != trees[0][path].shape:
                raise InputError(f"{path}: shape {leaf.shape} in tree {number}, {trees[0][path].shape} in the first")
            if not jnp.issubdtype(leaf.dtype, jnp.floating):
                raise InputError(f"{path}: dtype {leaf.dtype} in tree {number}; only floating tensors can be merged")
            # Trimming and voting would hide them.
            if not leaf.__array_namespace__().isfinite(leaf).all():
                raise InputError(f"{path}: NaN or infinite values in tree {number}; merge sound parameters")
