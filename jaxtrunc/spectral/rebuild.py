"""One matrix at many levels: its two factors, D = ΔW(g), and W = W_base + c·D."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral.backends.gram import ROWS
from jaxtrunc.spectral.chains import Chain
from jaxtrunc.spectral.cuts import Cut
from jaxtrunc.spectral.decomposition import MatrixSVD
from jaxtrunc.spectral.running import Factors, RunningSum, blocks_of
from jaxtrunc.spectral.view import content_hash, delta, read_matrix, release, upright

Blocks = Iterator[tuple[slice, np.ndarray]]


class Rebuilder:
    """Holds for one matrix W_base, the factors, `left (c, m)` and `right (c, n)`, and its running sum, each made on first use.

    ΔW(g) = leftᵀ diag(g) right, float32. The long-side factor carries the singular values: ΔW·V, computed in float64 and
    rounded once. W_base is kept in stored dtype, row after row: in a checkpoint it lies transposed, and turning it at every
    level would cost more than all else of a level.
    """

    def __init__(self, svd: MatrixSVD, base: Mapping[str, Any], ft: Mapping[str, Any]):
        self.svd, self._base, self._ft = svd, base, ft
        self._upright: np.ndarray | None = None
        self._factors: Factors | None = None
        self._sum = RunningSum(svd.shape, lambda: (self._base_rows(), self._read(ft)))

    def write(self, cut: Cut, out: Float[np.ndarray, "m n"], *, exact: bool = False) -> float | None:
        """Put W(cut) into the float32 array `out`; an end point is copied from its checkpoint, bit for bit.

        With `exact`, ΔW(g) is one product of all its components instead of the running sum, which goes on as if nothing had
        been. Returned is then the drift of that sum, ‖D − ΔW(g)‖_F/‖ΔW(g)‖_F; None where nothing was accumulated.
        """
        if cut.end:
            out[...] = self._read(self._ft if cut.end == "ft" else self._base)
            return None
        afresh = self._exact(cut.gains) if exact or not cut.chain else None
        drift = self._drift(cut.chain, afresh) if cut.chain and afresh is not None else None
        base, factor = self._base_rows(), np.float32(cut.factor)
        for rows, block in self._blocks(cut, afresh):
            np.add(block if factor == 1 else block * factor, base[rows].astype(np.float32, copy=False), out=out[rows])
        return drift

    def _blocks(self, cut: Cut, update: np.ndarray | None) -> Blocks:
        """D of a cut, before its norm factor, in blocks of rows: from `update` if ΔW(g) is there already."""
        if update is None and cut.chain and not cut.perturb:
            return self._sum.blocks(cut.chain, self._both())
        update = self._accumulated(cut.chain) if update is None and cut.chain else update
        assert update is not None  # a cut without a chain is always made afresh
        update = cut.perturb.apply(update) if cut.perturb else update
        return ((rows, update[rows]) for rows in blocks_of(self.svd.shape))

    def _accumulated(self, chain: Chain) -> np.ndarray:
        """The running sum at a chain as one array."""
        update = np.empty(self.svd.shape, np.float32)
        for rows, block in self._sum.blocks(chain, self._both()):
            update[rows] = block
        return update

    def _drift(self, chain: Chain, afresh: np.ndarray) -> float:
        squares = [float(np.linalg.norm(block - afresh[rows])) ** 2 for rows, block in self._sum.blocks(chain, self._both())]
        return sum(squares) ** 0.5 / float(np.linalg.norm(afresh))

    def factors(self, cut: Cut) -> tuple[Float[np.ndarray, "k m"], Float[np.ndarray, "k n"]]:
        """`(P, R)` with PᵀR = c·ΔW(g), ordered by singular value, each carrying its square root; k = 0 for the base."""
        left, right = self._both()
        kept = np.flatnonzero(cut.gains[:min(self.svd.rank, len(left))] * cut.factor)
        if cut.end == "ft" and len(left) < self.svd.rank:
            raise InputError(f"{self.svd.name}: only {len(left)} leading components were computed; decompose with "
                             "--backend gram64 and without --leading to write all of them")
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

    def _both(self) -> Factors:
        if self._factors is None:
            self._check(self._read(self._ft), self.svd.ft_hash, "fine-tuned")
            self._factors = self._long_and_short()
        return self._factors

    def _long_and_short(self) -> Factors:
        before, after, basis = self._read(self._base), self._read(self._ft), self.svd.basis.astype(np.float64, copy=False)
        if self.svd.side == "in":
            before, after = before.T, after.T
        long = np.empty((basis.shape[1], len(after)), np.float32)
        for start in range(0, len(after), ROWS):
            rows = slice(start, start + ROWS)
            update = after[rows].astype(np.float32, copy=False) - before[rows].astype(np.float32, copy=False)
            long[:, rows] = basis.T @ update.T.astype(np.float64)
        short = np.ascontiguousarray(basis.T, dtype=np.float32)
        return (long, short) if self.svd.side == "out" else (short, long)

    def _base_rows(self) -> np.ndarray:
        if self._upright is None:
            self._upright = upright(self._read(self._base))
            self._check(self._upright, self.svd.base_hash, "base")
            release(self._base[self.svd.ref.path], self.svd.ref)
        return self._upright

    def _read(self, leaves: Mapping[str, Any]) -> np.ndarray:
        return read_matrix(leaves[self.svd.ref.path], self.svd.ref)

    def _check(self, matrix: np.ndarray, known: str, side: str) -> None:
        if content_hash(matrix) != known:
            raise InputError(f"{self.svd.ref.name}: the {side} weights are not those that were decomposed; decompose again")
