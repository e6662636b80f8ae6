"""The update between two pytrees of anybody's model, decomposed once; every cut comes back as a tree of the same structure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral.decompose import decompose
from jaxtrunc.spectral.decomposition import Decomposition, Spectrum
from jaxtrunc.spectral.diagnostics import diagnostics
from jaxtrunc.spectral.levels import Level
from jaxtrunc.spectral.reconstruct import Reconstructor, Weights
from jaxtrunc.spectral.view import Layout, MatrixRef, references

Leaves = dict[str, Any]


class TreeUpdate:
    """ΔW = ft − base of every chosen matrix of a tree; made by `delta_svd`.

    Attributes:
      decomposition: singular values, ranks and bases by matrix name; what `plan_levels`, `save` and `similarity` take.
    """

    def __init__(self, decomposition: Decomposition, base: Any, ft: Any, residual: str):
        before, after = _leaves(base), _leaves(ft)
        self.decomposition = decomposition
        self._host = _on_host(before), _on_host(after)
        self._rest, self._like = (before if residual == "base" else after), after
        self._structure = jax.tree.structure(ft)
        self._rebuild = Reconstructor(decomposition, *self._host, residual=residual)

    @property
    def s(self) -> dict[str, np.ndarray]:
        """Matrix name → float64 singular values `(r,)` of its ΔW, descending; a ΔW of zeros is not there."""
        return {name: svd.s for name, svd in self.decomposition.matrices.items()}

    def params(self, level: Level) -> Any:
        """The whole tree at a level, without another decomposition.

        Structure, dtypes and shardings are those of the fine-tuned tree; sums are float32 and cast once, at the end.

        Raises:
          InputError: the level does not suit the decomposition.
        """
        return self._tree(self._rebuild.weights(level))

    def custom(self, gains: Callable[[Spectrum], np.ndarray]) -> Any:
        """The tree for gains `(r,)` of your own, one vector per matrix: W_base + Σ gᵢ sᵢ uᵢ vᵢᵀ.

        Raises:
          InputError: a gain is negative, not finite, or the vector has not length r.
        """
        return self._tree(self._rebuild.custom(gains))

    def diagnostics(self) -> dict[str, dict[str, Any]]:
        """Ranks, energies, noise edges and rounding of every spectrum, by matrix name; as `spectral.diagnostics`."""
        return diagnostics(self.decomposition, *self._host)

    def _tree(self, weights: Weights) -> Any:
        if weights.skipped_reason is not None:
            raise InputError(weights.skipped_reason)
        cut = {path: _as(array, self._like[path]) for path, array in weights.leaves.items()}
        return jax.tree.unflatten(self._structure, [cut.get(path, self._rest[path]) for path in self._like])


def delta_svd(base: Any, ft: Any, *, include: str | None = None, exclude: str | None = None,
              views: Mapping[str, Layout] | None = None, residual: str = "ft", backend: str = "gram64",
              leading: int | None = None) -> TreeUpdate:
    """Decompose ft − base for every matrix of two pytrees of one structure, as `nnx.to_pure_dict` or Linen gives them.

    A leaf of two axes is a matrix named by its path (`layers/0/kernel`); of more, a stack of them, named `PATH.INDEX`. Biases,
    norm scales, 1-D leaves and all that is not floating point (keys of random numbers, counters) are left alone. bfloat16 and
    other types are converted to float32 for every computation. The trees may lie on several devices of one process.

    Args:
      include, exclude: a regular expression each, `re.search`ed in the matrix names; default: every matrix.
      views: path → layout of leaves that are not `(…, in, out)`, such as head-split `(d, heads, head)` ones: `Layout(0)`.
      residual: ft or base, the value of everything that is not cut.
      backend, leading: as for `decompose`.

    Raises:
      InputError: the trees differ in structure or shape, a pattern matches nothing, or ΔW is not finite.
    """
    before, after = _leaves(base), _leaves(ft)
    _check_same(before, after)
    if residual not in ("ft", "base"):
        raise InputError(f"residual '{residual}': expected ft or base")
    shapes = {path: leaf.shape for path, leaf in after.items() if _is_float(leaf)}
    refs = _chosen(references(shapes, views=views), include, exclude)
    decomposition = decompose(_on_host(before), _on_host(after), refs, backend=backend, leading=leading)
    return TreeUpdate(decomposition, base, ft, residual)


def _leaves(tree: Any) -> Leaves:
    """`{path: leaf}` in the order of the tree's leaves; integer keys (`nnx.List`) and lists count as path parts."""
    found = jax.tree.flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in found}


def _is_float(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)


def _on_host(leaves: Leaves) -> Leaves:
    """NumPy views or copies of the floating-point leaves."""
    far = next((path for path, leaf in leaves.items() if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable), None)
    if far is not None:
        raise InputError(f"{far}: lies partly on devices of other processes; use spectral.decompose, which divides the matrices")
    return {path: np.asarray(leaf) for path, leaf in leaves.items() if _is_float(leaf)}


def _check_same(before: Leaves, after: Leaves) -> None:
    for path in before.keys() ^ after.keys():
        side = "base" if path in before else "fine-tuned"
        raise InputError(f"{path}: only in the {side} tree; both must have one structure")


def _chosen(refs: list[MatrixRef], include: str | None, exclude: str | None) -> list[MatrixRef]:
    for pattern in filter(None, (include, exclude)):
        if not any(re.search(pattern, ref.name) for ref in refs):
            raise InputError(f"'{pattern}': matches no matrix; names are {', '.join(ref.name for ref in refs[:8]) or 'none'}")
    return [ref for ref in refs if re.search(include or "", ref.name) and not (exclude and re.search(exclude, ref.name))]


def _as(array: np.ndarray, leaf: Any) -> Any:
    """A copy of a rebuilt float32 leaf, which the next level overwrites, in dtype and place of the leaf it stands for."""
    copy = np.array(array, dtype=leaf.dtype)
    if not isinstance(leaf, jax.Array):
        return copy
    return jax.device_put(copy, leaf.sharding if leaf.committed else None)
