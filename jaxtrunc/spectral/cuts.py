"""ΔW(g) of one matrix: rebuilt along its chain, or exactly where an operator has none."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float

from jaxtrunc.spectral.chains import Chain
from jaxtrunc.spectral.decomposition import MatrixSVD

Tall = Float[np.ndarray, "long r"]


@dataclass(eq=False)
class Cutter:
    """ΔW of one matrix in tall orientation, its factors US and V in float32, and the rung reached last.

    The factors are computed in float64 and rounded once: the bits of a cut then depend on the matrix, the chain and the
    count alone, never on which counts were asked for before.
    """

    svd: MatrixSVD
    tall: Tall
    _reached: tuple[tuple[str, int], int] | None = None
    _sum: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))

    @cached_property
    def factors(self) -> tuple[Float[np.ndarray, "long c"], Float[np.ndarray, "r c"]]:
        """US = ΔW·V and V, both float32."""
        basis = self.svd.basis.astype(np.float64, copy=False)
        return (self.tall.astype(np.float64) @ basis).astype(np.float32), basis.astype(np.float32)

    def exact(self, gains: np.ndarray) -> Tall:
        """U diag(g ⊙ s) Vᵀ in one product; a constant gain scales ΔW itself."""
        if np.all(gains == gains[0]):
            return self.tall * np.float32(gains[0])
        us, v = self.factors
        kept = np.flatnonzero(gains[:us.shape[1]])
        return (us[:, kept] * gains[kept].astype(np.float32)) @ v[:, kept].T

    def along(self, chain: Chain) -> Tall:
        """The chain's sum at its count. The array may be the accumulator: read it, do not write it."""
        self._climb(chain)
        if chain.count == chain.rung:
            return self._sum
        return self._step(self._sum.copy(), chain, chain.rung, chain.count)

    def _climb(self, chain: Chain) -> None:
        """Bring the accumulator to the chain's rung, rung by rung, from where it stands or from the start."""
        key, rung = self._reached or (None, 0)
        if key != chain.key or rung > chain.rung:
            self._sum, rung = (self.tall.copy() if chain.removes else np.zeros_like(self.tall)), 0
        for stop in chain.rungs:
            if rung < stop <= chain.rung:
                self._step(self._sum, chain, rung, stop)
                rung = stop
        self._reached = chain.key, rung

    def _step(self, total: np.ndarray, chain: Chain, start: int, stop: int) -> np.ndarray:
        """Add (or remove) the components `start` … `stop` of the chain's order, in place."""
        us, v = self.factors
        chosen = chain.order[start:stop]
        block = us[:, chosen] @ v[:, chosen].T
        return np.subtract(total, block, out=total) if chain.removes else np.add(total, block, out=total)
