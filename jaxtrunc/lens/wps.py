"""Projections of every token on the directions of the head, summed (WPS) and spread out.

a_ti = |σ_i·u_ti| = |w_t·v_i|. Miyashita (2026, arXiv 2605.22005) names a Weighted Projection Score of singular values and left
singular entries; its formula was not available, so these are ours. A sum of signed projections would depend on arbitrary signs.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxtrunc.core.chunks import each_chunk
from jaxtrunc.lens.rows import Layout, as_rows, compute_dtype
from jaxtrunc.lens.svd import VocabSVD


@dataclass(frozen=True)
class Scores:
    """Of every token `(V,)`, float64.

    Attributes:
      wps1_k, wps1_d: Σ a_ti over the leading K directions, and over all d.
      wps2_k: (Σ a_ti²)^½ over the leading K.
      norm: ‖w_t‖, which is wps2 over all d.
      spread: wps1_d/(√d·norm) in [1/√d, 1], NaN for a row of zeros; low: the row lies along few directions.
    """

    wps1_k: np.ndarray
    wps1_d: np.ndarray
    wps2_k: np.ndarray
    norm: np.ndarray
    spread: np.ndarray


def wps(matrix: Any, svd: VocabSVD, *, layout: Layout = "vd") -> Scores:
    """The scores of all rows of the matrix that `svd` is the decomposition of; K is that of `svd`."""
    rows = as_rows(matrix, layout)
    dtype, k = compute_dtype(rows), svd.k
    basis = svd.v.astype(dtype)

    def part(_start: int, chunk: np.ndarray) -> np.ndarray:
        wide = chunk.astype(dtype)
        sizes = wide @ basis
        np.abs(sizes, out=sizes)
        leading = sizes[:, :k].astype(np.float64)
        norm = np.sqrt(np.einsum("td,td->t", wide, wide, dtype=np.float64))
        return np.stack([leading.sum(1), sizes.sum(1, dtype=np.float64), np.sqrt((leading**2).sum(1)), norm])

    wps1_k, wps1_d, wps2_k, norm = np.concatenate(list(each_chunk(rows, part)), axis=1)
    with np.errstate(invalid="ignore"):
        return Scores(wps1_k, wps1_d, wps2_k, norm, wps1_d / (rows.shape[1] ** 0.5 * norm))
