"""The directions of a head: W = U·diag(σ)·Vᵀ, each with a sign that data decide and a note where data do not decide."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxtrunc.core.chunks import Rows, each_chunk
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.tall import FLOOR, tall_svd
from jaxtrunc.lens.rows import Layout, as_rows

TOLERANCE = 1e-7
SYMMETRIC = 0.05
GAP = 0.01


@dataclass(frozen=True)
class VocabSVD:
    """σ `(d,)`, all of V `(d, d)` and the leading columns of U `(V, K)`, all float64.

    Attributes:
      rank: number of σ above float32 rounding, 2⁻²⁰·σ₁.
      passes: over the rows that σ and V come from, 1 or 2.
      skewness: of each column of U about zero, √V·Σu³; not below 0 but where `undetermined`.
      undetermined: columns so symmetric that the largest entry was made positive instead.
      blocks: for each of the d components the number of its block of neighbours that only a rotation tells apart, −1: none.
    """

    sigma: np.ndarray
    v: np.ndarray
    u: np.ndarray
    rank: int
    passes: int
    skewness: np.ndarray
    undetermined: np.ndarray
    blocks: np.ndarray

    @property
    def k(self) -> int:
        """Columns of U."""
        return self.u.shape[1]

    def cuts_block(self) -> bool:
        """Whether the first component left out is one block with the last one kept: then sums over K depend on a rotation."""
        return self.k < len(self.sigma) and self.blocks[self.k - 1] >= 0 and self.blocks[self.k - 1] == self.blocks[self.k]


def vocab_svd(matrix: Any, k: int = 30, mesh: Mesh | None = None, *, layout: Layout = "vd", fast: bool = False) -> VocabSVD:
    """Decompose a head; K is at most the numerical rank.

    Args:
      matrix: `(V, d)`: an array, or rows on disk (`read_head`); finite.
      mesh: rows are divided over its devices for σ and V; default: threads of this host, in float64.
      fast: leave the second pass out, even where it would tell; right for leading components.

    Raises:
      InputError: not a matrix with V ≥ d ≥ 2, or all zeros.
    """
    rows = as_rows(matrix, layout)
    if k < 1:
        raise InputError(f"k: expected at least 1 direction, found {k}")
    found = tall_svd(rows, mesh, tolerance=np.inf if fast else TOLERANCE)
    if found.s[0] == 0:
        raise InputError("head: every value is zero; use a sound checkpoint")
    rank = int(np.sum(found.s > FLOOR * found.s[0]))
    k = min(k, rank)
    u = _left(rows, found.v[:, :k] / found.s[:k])
    signs, skewness = _orientation(u)
    v = found.v * np.r_[signs, np.ones(len(found.s) - k)]
    return VocabSVD(found.s, v, u * signs, rank, found.passes, skewness * signs, np.abs(skewness) < SYMMETRIC, _blocks(found.s))


def _left(rows: Rows, basis: np.ndarray) -> np.ndarray:
    return np.concatenate(list(each_chunk(rows, lambda _start, chunk: chunk.astype(np.float64) @ basis)))


def _orientation(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sign that makes each column's heavier tail positive, and √V·Σu³ before it."""
    skewness = len(u) ** 0.5 * np.sum(u**3, axis=0)
    largest = u[np.argmax(np.abs(u), axis=0), np.arange(u.shape[1])]
    chosen = np.where(np.abs(skewness) < SYMMETRIC, largest, skewness)
    return np.where(chosen < 0, -1.0, 1.0), skewness


def _blocks(sigma: np.ndarray) -> np.ndarray:
    """Neighbours closer than GAP, relative to the larger one, share a block."""
    close = np.r_[False, sigma[:-1] - sigma[1:] < GAP * sigma[:-1]]
    starts = np.r_[close[1:], False] & ~close
    return np.where(close | starts, np.cumsum(starts) - 1, -1)
