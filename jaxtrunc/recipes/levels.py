"""The weights of a level on the device: what the reconstruction gives, with everything that is not cut beside it."""

import dataclasses
from pathlib import Path
from typing import Any, cast

import chex
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from jaxtrunc import spectral
from jaxtrunc.adapters import leaves_with_adapter
from jaxtrunc.core import processes
from jaxtrunc.core.trees import flatten, unflatten
from jaxtrunc.evals import Applied
from jaxtrunc.evals.precision import EXACT
from jaxtrunc.models import DecoderConfig, abstract_params
from jaxtrunc.recipes.exchange import assemble, holders
from jaxtrunc.recipes.pair import Pair
from jaxtrunc.recipes.weights import load, shardings
from jaxtrunc.spectral.roundoff import Roundoff, cast_error, roundoff


class LevelWeights:
    """Makes the parameter tree of an endpoint or of a level; of several processes, each rebuilds its share of the matrices.

    Args:
      residual: ft or base, whose value the tensors outside the cut matrices take.
      mesh: compute mesh, or None for one device.
    """

    def __init__(self, pair: Pair, decomposition: spectral.Decomposition, residual: str, mesh: Mesh | None):
        self._pair, self._residual, self._mesh = pair, residual, mesh
        kept = pair.ft.leaves if residual == "ft" else pair.base.leaves
        self._places = shardings(kept, mesh)
        self._refs = {(svd.ref.path, svd.ref.index): svd.ref for svd in decomposition.matrices.values()}
        self._cut = {path: kept[path] for path in sorted({path for path, _ in self._refs})}
        self._uncut = flatten(load({path: leaf for path, leaf in kept.items() if path not in self._cut}, mesh))
        self._rebuild = spectral.Reconstructor(decomposition, pair.base.leaves, pair.ft.leaves, residual=residual,
                                               only=None if jax.process_count() == 1 else self._is_mine)
        self._lent: dict[str, jax.Array] = {}

    @property
    def cfg(self) -> DecoderConfig:
        """The architecture."""
        return self._pair.cfg

    def describe_end(self, name: str) -> dict[str, Any]:
        """The level mapping of `base` or `ft`: what is evaluated whole has no policy for the rest."""
        return {"operator": name, "k": None, "param": None, "seed": None, "norm_matched": False, "residual": None, "scope": None}

    def describe(self, level: spectral.Level) -> dict[str, Any]:
        """The level mapping of a cut, as records carry it."""
        return dataclasses.asdict(level) | {"residual": self._residual}

    def end(self, name: str) -> Applied:
        """One of the two checkpoints itself."""
        side = self._pair.base if name == "base" else self._pair.ft
        return Applied(load(side.leaves, self._mesh))

    def describe_adapter(self, rank: int) -> dict[str, Any]:
        """The level mapping of a trained adapter."""
        return self.describe_end("lora") | {"k": rank}

    def adapter(self, directory: Path) -> Applied:
        """The base with an adapter of it added, nothing cut."""
        base = self._pair.base
        return Applied(load(leaves_with_adapter(base.source, directory, base.leaves), self._mesh))

    def at(self, level: spectral.Level, dtype: str = EXACT, *, exact: bool = False) -> Applied:
        """W(k) of every cut matrix, everything else as `residual` says; in float32, whatever dtype products will read it in.

        The arrays live until the next level is asked for, which takes their place.
        With `exact`, rebuilt from all its components at once, and the fact `drift` says how far the sum over levels was off.
        """
        for leaf in self._lent.values():
            leaf.delete()  # on the CPU it is the memory that this level is written into: who still read it would be told
        self._lent = {}
        weights = self._rebuild.weights(level, exact=exact)
        if weights.skipped_reason:
            return Applied({}, skipped=weights.skipped_reason)
        params = unflatten(self._uncut | self._placed(weights))
        chex.assert_trees_all_equal_shapes_and_dtypes(params, abstract_params(self._pair.cfg))
        facts = {"max_norm_factor": weights.max_norm_factor, "roundoff": self._roundoff(weights, dtype)}
        if exact:
            facts["drift"] = _largest(weights.drift)
        return Applied(params, facts)

    def _roundoff(self, weights: spectral.Weights, dtype: str) -> Roundoff:
        """Over all matrices, of which each process holds some."""
        if dtype == EXACT or jax.process_count() == 1 or weights.decomposition is None:
            return weights.roundoff(dtype)
        mine = {name: cast_error(matrix, dtype) for name, matrix in weights.matrices.items()}
        errors = {name: error for part in processes.collect(mine) for name, error in part.items()}
        return roundoff(errors, weights.cuts, weights.decomposition.matrices)

    def _placed(self, weights: spectral.Weights) -> dict[str, jax.Array]:
        if jax.process_count() > 1:
            return {path: self._assembled(path, weights) for path in self._cut}
        self._lent = {path: jax.device_put(leaf, self._places[path], may_alias=True) for path, leaf in weights.leaves.items()}
        return self._lent

    def _assembled(self, path: str, weights: spectral.Weights) -> jax.Array:
        """A cut leaf from the shares of all processes; what is not cut of it comes from the file."""
        leaf = self._cut[path]

        def matrix(number: int) -> np.ndarray:
            ref = self._refs.get((path, number))
            return leaf[number] if ref is None else weights.matrices[ref.name]

        return assemble(leaf.shape, self._layout(path), matrix)

    def _is_mine(self, ref: spectral.MatrixRef) -> bool:
        return holders(self._cut[ref.path].shape, self._layout(ref.path))[ref.index] == jax.process_index()

    def _layout(self, path: str) -> NamedSharding:
        return cast(NamedSharding, self._places[path])  # several processes always have a mesh


def _largest(drift: float | None) -> float | None:
    """Over all processes, each of which rebuilds some of the matrices."""
    return max((part for part in processes.collect(drift) if part is not None), default=None)
