"""W(k) = W_base + c·ΔW(g) of every decomposed matrix, level after level, without another decomposition.

Besides the stacked output buffers it keeps, per matrix, ΔW, US, V and one accumulator, all float32: about four times the
size of the cut matrices. The buffers are written anew by each level.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral.allocate import ranks_of
from jaxtrunc.spectral.cuts import Cutter
from jaxtrunc.spectral.decompose import content_hash
from jaxtrunc.spectral.decomposition import Decomposition, MatrixSVD
from jaxtrunc.spectral.levels import Level
from jaxtrunc.spectral.operators import find_operator
from jaxtrunc.spectral.roundoff import Roundoff, matrix_roundoff, summary
from jaxtrunc.spectral.view import delta, read_matrix, whole_leaf, writable_matrix

NORM_WARNING = 100.0
"""Above this factor a norm-matched control scores numerical noise."""


@dataclass(frozen=True)
class Cut:
    """One matrix of a level: gains `(r,)` and the norm factor c."""

    svd: MatrixSVD
    gains: np.ndarray
    factor: float

    @property
    def nothing(self) -> bool:
        """W(k) is the base matrix itself."""
        return not self.gains.any()

    @property
    def everything(self) -> bool:
        """W(k) is the fine-tuned matrix itself."""
        return self.factor == 1.0 and bool((self.gains == 1.0).all())


@dataclass(frozen=True)
class Weights:
    """The weights of a level.

    Attributes:
      leaves: path → float32 array of the whole leaf; entries that are not cut have the residual value.
      max_norm_factor: the largest c over matrices; None without norm matching.
      skipped_reason: why the level does not exist; then there are no leaves.
    """

    leaves: dict[str, np.ndarray]
    cuts: tuple[Cut, ...] = ()
    max_norm_factor: float | None = None
    skipped_reason: str | None = None

    def roundoff(self, dtype: str) -> Roundoff:
        """What a cast of W(k) to `dtype` costs, median and maximum over matrices (truncation.md, section 3)."""
        return summary([matrix_roundoff(writable_matrix(self.leaves[cut.svd.ref.path], cut.svd.ref), dtype,
                                        cut.svd.norm(cut.factor * cut.gains), cut.svd.norm(1 - cut.factor * cut.gains))
                        for cut in self.cuts])


class Reconstructor:
    """Rebuilds levels; the bits of W(k) depend on operator, k and seed alone.

    Args:
      base, ft: path → leaf, the inputs of the decomposition (checked by content).
      residual: ft or base: whose value the entries of a touched leaf take that are not cut.
    """

    def __init__(self, decomposition: Decomposition, base: Mapping[str, Any], ft: Mapping[str, Any], *, residual: str = "ft"):
        self._decomposition, self._base, self._ft = decomposition, base, ft
        self._kept = ft if residual == "ft" else base
        self._cutters: dict[str, Cutter] = {}

    def weights(self, level: Level) -> Weights:
        """W(k) of every touched leaf; valid until the next call."""
        cuts, reason = self._cuts(level)
        if reason:
            return Weights({}, skipped_reason=reason)
        for cut in cuts:
            self._write(cut, level)
        largest = max((cut.factor for cut in cuts), default=1.0) if level.norm_matched else None
        return Weights(self._buffers, tuple(cuts), largest)

    def factors(self, level: Level) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Name → (A `(r, in)`, B `(out, r)`) float32 with c·ΔW(g) = (B·A)ᵀ, columns ordered by singular value.

        Matrices of which nothing is kept are left out. The first k columns of a rank-K cut by top_k are the rank-k cut.
        """
        cuts, reason = self._cuts(level)
        if reason:
            raise InputError(f"{level.operator}: {reason}")
        return {cut.svd.name: self._factor_pair(cut) for cut in cuts if not cut.nothing}

    def _cuts(self, level: Level) -> tuple[list[Cut], str | None]:
        """Gains and norm factor of every matrix, or the reason why the level cannot be made."""
        ranks = ranks_of(self._decomposition, level)
        cuts = []
        for svd in self._decomposition.matrices.values():
            try:
                gains = _gains(svd, level, ranks[svd.name])
            except InputError as error:
                if find_operator(level.operator).axis is not None:
                    raise
                return [], str(error)  # a data-free edge that this matrix does not have
            factor = _norm_factor(svd, gains, ranks[svd.name]) if level.norm_matched else 1.0
            if factor is None:
                return [], f"the control keeps nothing of {svd.name}, so its norm cannot be matched"
            cuts.append(Cut(svd, gains, factor))
        return cuts, None

    def _write(self, cut: Cut, level: Level) -> None:
        """Put W(k) of one matrix into its buffer; an uncut end is that checkpoint's matrix, bit for bit."""
        ref = cut.svd.ref
        out = writable_matrix(self._buffers[ref.path], ref)
        if cut.nothing or cut.everything:
            out[...] = read_matrix((self._base if cut.nothing else self._ft)[ref.path], ref)
            return
        update = self._update(cut, level)
        np.multiply(update, np.float32(cut.factor), out=out)
        out += read_matrix(self._base[ref.path], ref).astype(np.float32, copy=False)

    def _update(self, cut: Cut, level: Level) -> np.ndarray:
        """ΔW(g) in the orientation of the matrix."""
        operator, cutter = find_operator(level.operator), self._cutter(cut.svd)
        if operator.chain is None or bool((cut.gains == 1.0).all()):
            tall = cutter.exact(cut.gains)
        else:
            tall = cutter.along(operator.chain(cut.svd, cut.gains, level.seed))
        return tall if cut.svd.side == "out" else tall.T

    def _factor_pair(self, cut: Cut) -> tuple[np.ndarray, np.ndarray]:
        us, v = self._cutter(cut.svd).factors
        kept = np.flatnonzero(cut.gains)
        if kept.max() >= us.shape[1]:
            raise InputError(f"{cut.svd.name}: only {us.shape[1]} components are known; decompose with --backend gram64")
        long = us[:, kept] * (cut.factor * cut.gains[kept]).astype(np.float32)
        order = np.argsort(-np.linalg.norm(long, axis=0), kind="stable")
        long, short = long[:, order], v[:, kept][:, order]
        return (long.T, short) if cut.svd.side == "out" else (short.T, long)

    def _cutter(self, svd: MatrixSVD) -> Cutter:
        """The matrix's ΔW and factors, read at first use and checked to be what was decomposed."""
        if svd.name not in self._cutters:
            for leaves, expected in ((self._base, svd.base_hash), (self._ft, svd.ft_hash)):
                if content_hash(read_matrix(leaves[svd.ref.path], svd.ref)) != expected:
                    raise InputError(f"{svd.name}: the checkpoint has changed since it was decomposed; decompose it again")
            update = delta(self._base, self._ft, svd.ref)
            self._cutters[svd.name] = Cutter(svd, update if svd.side == "out" else update.T)
        return self._cutters[svd.name]

    @cached_property
    def _buffers(self) -> dict[str, np.ndarray]:
        """One float32 array per touched leaf, filled with the residual values."""
        paths = {svd.ref.path for svd in self._decomposition.matrices.values()}
        return {path: whole_leaf(self._kept[path]) for path in sorted(paths)}


def _gains(svd: MatrixSVD, level: Level, rank: int | None) -> np.ndarray:
    """The operator's gains; without a parameter of its own, an operator of the param axis keeps all of ΔW."""
    operator = find_operator(level.operator)
    if operator.axis is None:
        return operator.gains(svd)
    if operator.axis == "param":
        return operator.gains(svd, 1.0 if level.param is None else level.param)
    return operator.gains(svd, rank, *((level.seed,) if operator.random else ()))


def _norm_factor(svd: MatrixSVD, gains: np.ndarray, rank: int | None) -> float | None:
    """c = ‖ΔW_top‖_F/‖ΔW(g)‖_F; 1 where both are 0, None where only the control's is."""
    assert rank is not None, "norm matching needs a k"
    wanted, found = svd.norm(find_operator("top_k").gains(svd, rank)), svd.norm(gains)
    if found == 0:
        return 1.0 if wanted == 0 else None
    return wanted / found
