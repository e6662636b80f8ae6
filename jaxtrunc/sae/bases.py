"""Orthonormal bases as columns, made the same way everywhere: QR in float64, then signs fixed."""

import numpy as np
from jaxtyping import Float


def orthonormal(columns: Float[np.ndarray, "d r"]) -> Float[np.ndarray, "d r"]:
    """An orthonormal basis (float32) of the span of linearly independent columns; in each the largest entry is positive.

    Neither QR nor an eigensolver promises signs; without the rule a basis would differ between machines.
    """
    q = np.linalg.qr(np.asarray(columns, np.float64))[0]
    largest = q[np.argmax(np.abs(q), axis=0), np.arange(q.shape[1])]
    return (q * np.where(largest < 0, -1.0, 1.0)).astype(np.float32)


def short(rows: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "p d"]:
    """Rows with the same singular values and right singular vectors, no more of them than columns."""
    return np.asarray(np.linalg.qr(rows, mode="r")) if rows.shape[0] > rows.shape[1] else rows
