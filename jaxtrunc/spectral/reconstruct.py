"""Weights at a level, for all matrices: W(k) = W_base + c·ΔW(g) in float32, without another decomposition."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxtrunc.core.chunks import core_count
from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral.cuts import Cut, cuts_of
from jaxtrunc.spectral.decomposition import Decomposition, Spectrum
from jaxtrunc.spectral.levels import Level
from jaxtrunc.spectral.operators import find_operator
from jaxtrunc.spectral.rebuild import Rebuilder
from jaxtrunc.spectral.roundoff import Roundoff, cast_error, roundoff
from jaxtrunc.spectral.view import MatrixRef, writable_matrix

ALIGNMENT = 64


@dataclass(frozen=True, eq=False)
class Weights:
    """The leaves a level touches, path → float32 array, and what a record says of them.

    `matrices` holds the same weights by matrix name, `(m, n)` views of `leaves`; from a reconstructor of some matrices only,
    it holds just those and `leaves` is empty. The arrays are reused by the next level: copy what must outlive it. Both are
    empty where `skipped_reason` is given. `max_norm_factor` is the largest c of a norm-matched level, else None; `drift` the
    largest over `matrices` of a level that was rebuilt exactly, else None.
    """

    leaves: dict[str, np.ndarray]
    matrices: dict[str, np.ndarray] = field(default_factory=dict)
    max_norm_factor: float | None = None
    drift: float | None = None
    skipped_reason: str | None = None
    cuts: dict[str, Cut] = field(default_factory=dict)
    decomposition: Decomposition | None = None

    def roundoff(self, dtype: Any) -> Roundoff:
        """What a cast of W(k) to `dtype` would change, against what the cut removed and kept.

        Over `matrices`; over all cuts where `dtype` is float32, which changes none.
        """
        if self.decomposition is None:
            return roundoff({}, {}, {})
        exact = dict.fromkeys(self.cuts, 0.0) if np.dtype(dtype) == np.float32 else None
        errors = exact or {name: cast_error(weights, dtype) for name, weights in self.matrices.items()}
        return roundoff(errors, self.cuts, self.decomposition.matrices)


class Reconstructor:
    """Serves levels of one decomposition.

    Memory, once a level that is neither base nor ft was asked for: float32 leaves handed out, one running sum and one
    long-side factor of the size of the selected matrices each, and the r × r bases; nothing of it grows with the number
    of levels. Base and fine-tuned weights are read through the given leaves (memory-mapped, if lazy). With `only`, nothing is
    held of the other matrices: of several processes that divide them (`spectral.divide`), each holds its share.
    """

    def __init__(self, decomposition: Decomposition, base: Mapping[str, Any], ft: Mapping[str, Any], *,
                 residual: str = "ft", workers: int | None = None, only: Callable[[MatrixRef], bool] | None = None):
        """Read nothing yet.

        Args:
          base, ft: path → leaf as for `decompose`.
          residual: ft or base, the value of unselected matrices in `leaves`.
          only: which matrices to rebuild; then `leaves` stays empty and `matrices` holds these. Default: all, as whole leaves.
        """
        self._decomposition = decomposition
        self._base, self._ft, self._rest = base, ft, ft if residual == "ft" else base
        self._whole = only is None
        self._rebuilders = {name: Rebuilder(svd, base, ft) for name, svd in decomposition.matrices.items()
                            if only is None or only(svd.ref)}
        self._workers = workers or core_count()
        self._leaves: dict[str, np.ndarray] = {}
        self._matrices: dict[str, np.ndarray] = {}

    def weights(self, level: Level, *, exact: bool = False) -> Weights:
        """W(k) of every matrix. Its bits depend on the level's operator, k or parameter, and seed, and on `exact`, alone.

        With `exact`, nothing is taken over from other levels, and `drift` says how far ΔW(g) accumulated over levels was off.

        Raises:
          InputError: the level does not suit the decomposition, or a checkpoint changed since it was decomposed.
        """
        cuts, reason = cuts_of(level, self._decomposition)
        if reason is not None:
            return Weights({}, skipped_reason=reason)
        factor = max((cut.factor for cut in cuts.values()), default=1.0) if level.norm_matched else None
        return self._write(cuts, factor, exact)

    def custom(self, gains: Callable[[Spectrum], np.ndarray]) -> Weights:
        """Weights for gains `(r,)` of the user's own, rebuilt exactly.

        Raises:
          InputError: a gain is negative, not finite, or the vector has not length r.
        """
        return self._write({name: Cut(_checked(svd, gains(svd)))
                            for name, svd in self._decomposition.matrices.items()}, None)

    def factors(self, level: Level) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Name → `(A (k, in), B (out, k))` float32 with (B A)ᵀ = c·ΔW(g), ordered by singular value.

        So slicing the first k rows and columns of a top_k adapter of rank K is the one of rank k. Matrices that keep
        nothing, and those that `only` leaves out, are not there. The full update is given by its ρ numerically non-zero
        components.

        Raises:
          InputError: as `weights`, or the operator changes single entries, so that the update has full rank and no factors.
        """
        if find_operator(level.operator).perturb:
            raise InputError(f"operator {level.operator}: it changes single entries, so its update has full rank and makes no "
                             "adapter; export --format hf")
        cuts, reason = cuts_of(level, self._decomposition)
        if reason is not None:
            raise InputError(reason)
        pairs = {name: rebuilder.factors(cuts[name]) for name, rebuilder in self._rebuilders.items()
                 if cuts[name].end != "base"}
        return {name: (left, np.ascontiguousarray(right.T)) for name, (left, right) in pairs.items() if len(left)}

    def _write(self, cuts: dict[str, Cut], factor: float | None, exact: bool = False) -> Weights:
        if not self._matrices:
            self._allocate()

        def write(name: str) -> float | None:
            return self._rebuilders[name].write(cuts[name], self._matrices[name], exact=exact)

        with ThreadPoolExecutor(self._workers) as pool:
            drifts = [drift for drift in pool.map(write, self._rebuilders) if drift is not None]
        return Weights(self._leaves, self._matrices, factor, max(drifts, default=None), None, cuts, self._decomposition)

    def _allocate(self) -> None:
        self._leaves = self._residual_leaves() if self._whole else {}
        self._matrices = {name: writable_matrix(self._leaves[rebuilder.svd.ref.path], rebuilder.svd.ref) if self._whole
                          else np.empty(rebuilder.svd.shape, np.float32) for name, rebuilder in self._rebuilders.items()}

    def _residual_leaves(self) -> dict[str, np.ndarray]:
        """Every touched leaf; one that is not rebuilt as a whole with its residual value, so that the rest of it is right."""
        refs = [svd.ref for svd in self._decomposition.matrices.values()]
        rebuilt: Counter[str] = Counter()
        for ref in refs:
            rebuilt[ref.path] += math.prod(ref.shape)
        leaves = {ref.path: (aligned_empty(self._rest[ref.path].shape), ref.view.batch_axes) for ref in refs}
        for path, (out, batch_axes) in leaves.items():
            if rebuilt[path] < out.size:
                fill(out, self._rest[path], batch_axes)
        return {path: out for path, (out, _) in leaves.items()}


def aligned_empty(shape: Sequence[int]) -> np.ndarray:
    """Float32, C-ordered, on a boundary from which XLA's CPU backend reads an array without a copy."""
    size = 4 * math.prod(shape)
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start:start + size].view(np.float32).reshape(shape)


def fill(out: np.ndarray, leaf: Any, batch_axes: int) -> None:
    """Put a leaf into a C-ordered array."""
    if hasattr(leaf, "__array__"):
        out[...] = np.asarray(leaf)
        return
    entries = out.reshape(-1, *out.shape[batch_axes:], copy=False)
    for index in range(len(entries)):
        entries[index] = leaf[index]


def _checked(spectrum: Spectrum, gains: np.ndarray) -> np.ndarray:
    gains = np.asarray(gains, np.float64)
    if gains.shape != (spectrum.r,) or not np.all(np.isfinite(gains) & (gains >= 0)):
        raise InputError(f"{spectrum.name}: custom gains must be {spectrum.r} finite numbers of at least 0, "
                         f"found shape {gains.shape}")
    return gains
