"""All singular values and right singular vectors of a tall matrix, by two passes over its rows.

The Gram matrix squares the condition number κ, so that of one pass in float32 little but the leading components can be believed.
A second pass repairs that: with the first pass's vectors V₁, the columns of B = X·V₁ are nearly orthogonal, and once each is
divided by its norm, their Gram matrix is well conditioned (Cholesky QR; Yamamoto et al. 2015, ETNA 44:306). X is read row by row,
nothing of its length is stored, and over a mesh each pass is one sum over the devices.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float
from scipy.linalg import cholesky, eigh, svd

from jaxtrunc.core.chunks import Rows, each_chunk
from jaxtrunc.core.rows_mesh import MeshPasses

FLOOR = 8 * 2.0**-23
"""Share of σ₁ below which a float32 matrix holds nothing but rounding: such columns are left as the first pass found them."""


@dataclass(frozen=True)
class TallSVD:
    """σ descending and V as columns, both float64, of X = U·diag(σ)·Vᵀ; `passes` over the rows: 1 or 2."""

    s: Float[np.ndarray, " d"]
    v: Float[np.ndarray, "d d"]
    passes: int


class Passes(Protocol):
    """The two sums over all rows of X, whose products are rounded to `dtype`."""

    @property
    def dtype(self) -> type[np.floating]:
        """float64, or float32 where the devices have nothing wider."""
        ...

    def gram(self, basis: np.ndarray | None = None) -> np.ndarray:
        """(X·basis)ᵀ(X·basis) in float64; XᵀX without a basis."""
        ...


def tall_svd(rows: Rows, mesh: Mesh | None = None, *, tolerance: float) -> TallSVD:
    """The decomposition of `rows` `(V, d)`, V ≥ d, finite.

    Args:
      mesh: rows are divided over its devices; without one, threads of this host work in float64.
      tolerance: of σ_i, relative. A second pass follows if the rounding of the first, ε·κ², exceeds it: in float32 nearly
        always, in float64 above κ = 2·10⁴ for 1e-7. With infinity it never does.

    Returns:
      After two passes σ is right to about 1e-6 relative in float32 (κ ≤ 10⁴), to 1e-10 in float64; what lies below FLOOR·σ₁ is
      known to 1e-8·σ₁.
    """
    passes: Passes = HostPasses(rows) if mesh is None else MeshPasses(rows, mesh)
    squares, vectors = eigh(passes.gram(), driver="evd", overwrite_a=True)
    squares, vectors = squares[::-1], vectors[:, ::-1]
    eps = float(np.finfo(passes.dtype).eps)
    if eps * squares[0] <= tolerance * squares[-1] or tolerance == np.inf or squares[0] <= 0:
        return TallSVD(np.sqrt(np.maximum(squares, 0.0)), np.ascontiguousarray(vectors), 1)
    scale = np.sqrt(np.maximum(squares, eps * squares[0]))
    basis = (vectors / scale).astype(passes.dtype)  # what is multiplied, rounded, is what is rotated: rounding costs nothing then
    return _second(passes.gram(basis), scale, basis * scale)


def _second(gram: np.ndarray, scale: np.ndarray, vectors: np.ndarray) -> TallSVD:
    """From G₂ of B divided by the first pass's σ: rescale to unit columns, G₂ = RᵀR, and decompose R·diag(norms)."""
    unit = np.sqrt(np.diag(gram))
    norms = unit * scale
    keep = norms > FLOOR * norms.max()
    root = cholesky(gram[np.ix_(keep, keep)] / np.outer(unit[keep], unit[keep]))
    _, s, vt = svd(root * norms[keep], overwrite_a=True)
    s = np.r_[s, norms[~keep]]
    order = np.argsort(-s, kind="stable")
    return TallSVD(s[order], np.c_[vectors[:, keep] @ vt.T, vectors[:, ~keep]][:, order], 2)


class HostPasses:
    """Chunks of rows over the threads of this host, in float64."""

    dtype = np.float64

    def __init__(self, rows: Rows):
        self.rows = rows

    def gram(self, basis: np.ndarray | None = None) -> np.ndarray:
        """The sum of the chunks' Gram matrices, in the order of the rows."""

        def part(_start: int, chunk: np.ndarray) -> np.ndarray:
            wide = chunk.astype(np.float64)
            wide = wide if basis is None else wide @ basis
            return wide.T @ wide  # NumPy calls syrk when both operands are one array

        width = self.rows.shape[1]
        return sum(each_chunk(self.rows, part), np.zeros((width, width)))
