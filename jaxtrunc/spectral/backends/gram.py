"""The steps from a tall matrix through its Gram matrix to singular values and short-side vectors, in one precision."""

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh, get_blas_funcs

ROWS = 512
"""Rows taken at a time, so that their conversion and what is made of them stay in the cache."""

FEW = 1 / 6
"""Below this share of all components LAPACK's solver for some of them is faster than that for all."""


def gram_matrix(x: Float[np.ndarray, "long r"], dtype: type) -> Float[np.ndarray, "r r"]:
    """The lower triangle of xᵀx in Fortran order, accumulated in `dtype`; x is converted some rows at a time."""
    (syrk,) = get_blas_funcs(("syrk",), dtype=dtype)
    gram = np.zeros((x.shape[1], x.shape[1]), dtype, order="F")
    for start in range(0, len(x), ROWS):
        rows = np.asarray(x[start:start + ROWS], dtype)
        matrix, transposed = (rows.T, 0) if rows.flags.c_contiguous else (rows, 1)
        gram = syrk(1.0, matrix, beta=1.0, c=gram, trans=transposed, lower=1, overwrite_c=1)
    return gram


def roots_and_vectors(gram: Float[np.ndarray, "r r"],
                      leading: int | None) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, "r c"]]:
    """√λ_i, descending, and the eigenvectors as columns, all r or the `leading` largest; the Gram matrix is overwritten.

    Only its lower triangle is read. √λ_i differs from the singular value σ_i by about ε·s₁²/σ_i.
    """
    r = len(gram)
    count = min(leading or r, r)
    if count < FEW * r:
        values, vectors = eigh(gram, lower=True, subset_by_index=[r - count, r - 1], overwrite_a=True, check_finite=False)
    else:
        values, vectors = eigh(gram, lower=True, driver="evd", overwrite_a=True, check_finite=False)
    return np.sqrt(np.maximum(values[::-1][:count], 0)), vectors[:, ::-1][:, :count]


def lengths(x: Float[np.ndarray, "long r"], vectors: Float[np.ndarray, "r c"]) -> Float[np.ndarray, " c"]:
    """‖x·v‖ of every column v, accumulated in the dtype of the vectors."""
    squares = np.zeros(vectors.shape[1], vectors.dtype)
    for start in range(0, len(x), ROWS):
        products = np.asarray(x[start:start + ROWS], vectors.dtype) @ vectors
        squares += np.einsum("ij,ij->j", products, products)
    return np.sqrt(squares)
