"""What float32 Gram matrices cost: leading components of a few matrices against those of float64 ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxtrunc.spectral.backends.gram64 import decompose_gram64
from jaxtrunc.spectral.decomposition import Decomposition, MatrixSVD
from jaxtrunc.spectral.shares import cost
from jaxtrunc.spectral.view import delta

SAMPLE = 4
"""Matrices that are decomposed once more, the costliest shapes first."""


def float32_cost(decomposition: Decomposition, base: Mapping[str, Any], ft: Mapping[str, Any]) -> dict[str, Any]:
    """The worst of one matrix of each shape, of at most four shapes, with all the components that were kept.

    Returns:
      matrices: how many were compared. singular_values: largest |σ/σ₆₄ − 1|. residual: largest ratio of ‖ΔW − ΔW_k‖_F to that
      of the best rank-k approximation, less 1; None where every component of each was kept.
    """
    shapes = {svd.shape: svd for svd in reversed(decomposition.matrices.values())}
    sample = sorted(shapes.values(), key=lambda svd: -cost(svd.shape))[:SAMPLE]
    found = [_compared(svd, delta(base, ft, svd.ref)) for svd in sample]
    return {"matrices": len(found), "singular_values": max((error for error, _ in found), default=0.0),
            "residual": max((excess for _, excess in found if excess is not None), default=None)}


def _compared(svd: MatrixSVD, update: np.ndarray) -> tuple[float, float | None]:
    tall, count = update if svd.side == "out" else update.T, len(svd.s)
    exact, _ = decompose_gram64(tall, count)
    error = float(np.max(np.abs(svd.s / exact - 1)))
    if count == svd.r:
        return error, None
    basis = svd.basis.astype(np.float64)
    products = tall.astype(np.float64) @ basis
    left = np.linalg.norm(tall - products @ basis.T)
    return error, float(left / max(svd.frobenius**2 - float(np.sum(exact**2)), 0.0) ** 0.5 - 1)
