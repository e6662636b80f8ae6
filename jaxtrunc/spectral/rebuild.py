"""One matrix at many levels: its two factors, the running sum D = ΔW(g), and W = W_base + c·D."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.linalg import get_blas_funcs

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral.chains import Chain
from jaxtrunc.spectral.cuts import Cut
from jaxtrunc.spectral.decomposition import MatrixSVD
from jaxtrunc.spectral.view import content_hash, delta, read_matrix

(sgemm,) = get_blas_funcs(("gemm",), dtype=np.float32)


class Rebuilder:
    """Holds for one matrix the factors, `left (c, m)` and `right (c, n)`, and D `(m, n)`; all float32, made on first use.

    ΔW(g) = leftᵀ diag(g) right. The long-side factor carries the singular values: ΔW·V, computed in float64 and
    rounded once.
    """

    def __init__(self, svd: MatrixSVD, base: Mapping[str, Any], ft: Mapping[str, Any]):
        self.svd, self._base, self._ft = svd, base, ft
        self._factors: tuple[np.ndarray, np.ndarray] | None = None
        self._sum = np.empty((0, 0), np.float32)
        self._key: tuple[str, int] | None = None
        self._rung = 0

    def write(self, cut: Cut, out: Float[np.ndarray, "m n"]) -> None:
        """Put W(cut) into the float32 array `out`; an end point is copied from its checkpoint, bit for bit."""
        if cut.end:
            out[...] = read_matrix((self._ft if cut.end == "ft" else self._base)[self.svd.ref.path], self.svd.ref)
            return
        base = read_matrix(self._base[self.svd.ref.path], self.svd.ref).astype(np.float32, copy=False)
        update = self.update(cut)
        if cut.perturb:
            update = cut.perturb.apply(update)
        if cut.factor != 1:
            update = update * np.float32(cut.factor)
        np.add(update, base, out=out)

    def update(self, cut: Cut) -> Float[np.ndarray, "m n"]:
        """D = ΔW(g), float32, before perturbation and norm factor; do not write to it."""
        if cut.chain is None:
            return self._exact(cut.gains)
        self._advance(cut.chain)
        if self._rung == cut.chain.count:
            return self._sum
        branch = self._sum.copy()
        self._add(branch, cut.chain, self._rung, cut.chain.count)
        return branch

    def factors(self, cut: Cut) -> tuple[Float[np.ndarray, "k m"], Float[np.ndarray, "k n"]]:
        """`(P, R)` with PᵀR = c·ΔW(g), ordered by singular value, each carrying its square root; k = 0 for the base."""
        left, right = self._both()
        kept = np.flatnonzero(cut.gains[:min(self.svd.rank, len(left))] * cut.factor)
        if cut.end == "ft" and len(left) < self.svd.rank:
            raise InputError(f"{self.svd.name}: only {len(left)} leading components were computed; decompose with "
                             "--backend gram64 to write all of them")
        root = np.sqrt(self.svd.s[kept]).astype(np.float32)[:, None]
        gain = (cut.gains[kept] * cut.factor).astype(np.float32)[:, None]
        if self.svd.side == "out":
            return left[kept] / root, right[kept] * (root * gain)
        return left[kept] * root, right[kept] * (gain / root)

    def _exact(self, gains: np.ndarray) -> np.ndarray:
        if np.all(gains == gains[0]):
            return delta(self._base, self._ft, self.svd.ref) * np.float32(gains[0])
        left, right = self._both()
        kept = np.flatnonzero(gains)
        return (left[kept] * gains[kept, None].astype(np.float32)).T @ right[kept]

    def _advance(self, chain: Chain) -> None:
        if self._key != chain.key or self._rung > chain.rung:
            self._key, self._rung = chain.key, 0
            self._sum = (np.ascontiguousarray(delta(self._base, self._ft, self.svd.ref)) if chain.removes
                         else np.zeros(self.svd.shape, np.float32))
        for rung in chain.rungs:
            if self._rung < rung <= chain.rung:
                self._add(self._sum, chain, self._rung, rung)
                self._rung = rung

    def _add(self, total: np.ndarray, chain: Chain, start: int, stop: int) -> None:
        """Accumulate in place the components `order[start:stop]`; Fortran sees the transposes of our C-ordered arrays."""
        left, right = self._both()
        chosen = _as_slice(np.sort(chain.order[start:stop]))
        done = sgemm(-1.0 if chain.removes else 1.0, right[chosen].T, left[chosen].T, 1.0, total.T, trans_b=1, overwrite_c=1)
        assert np.shares_memory(done, total)  # else the sum would be lost in a copy

    def _both(self) -> tuple[np.ndarray, np.ndarray]:
        if self._factors is None:
            self._factors = self._read_factors()
        return self._factors

    def _read_factors(self) -> tuple[np.ndarray, np.ndarray]:
        ref = self.svd.ref
        for leaves, known, side in ((self._base, self.svd.base_hash, "base"), (self._ft, self.svd.ft_hash, "fine-tuned")):
            if content_hash(read_matrix(leaves[ref.path], ref)) != known:
                raise InputError(f"{ref.name}: the {side} weights are not those that were decomposed; decompose again")
        update, basis = delta(self._base, self._ft, ref), self.svd.basis.astype(np.float64, copy=False)
        tall = update if self.svd.side == "out" else update.T
        long = np.ascontiguousarray((tall.astype(np.float64) @ basis).T, dtype=np.float32)
        short = np.ascontiguousarray(basis.T, dtype=np.float32)
        return (long, short) if self.svd.side == "out" else (short, long)


def _as_slice(indices: np.ndarray) -> slice | np.ndarray:
    """Consecutive indices as a slice, which copies nothing."""
    first, last = int(indices[0]), int(indices[-1])
    return slice(first, last + 1) if last - first + 1 == len(indices) else indices
