"""Controls for a subspace of features: bases of the same width and rank that know nothing of the dictionary.

`mean_diff`, `pca_diff` and `cov_diff` see the raw activations of the two classes, one row per example or per token. The seeded
ones draw from NumPy's default generator and give the same basis everywhere.
"""

import numpy as np
from jaxtyping import Float

from jaxtrunc.core.errors import InputError
from jaxtrunc.sae.bases import orthonormal, short

Basis = Float[np.ndarray, "d r"]


def random_u(d: int, rank: int, seed: int) -> Basis:
    """A uniformly random subspace."""
    _check_rank(rank, d, "the width")
    return orthonormal(np.random.default_rng(seed).standard_normal((d, rank)))


def mean_diff(aligned: Float[np.ndarray, "n d"], unaligned: Float[np.ndarray, "m d"], rank: int, seed: int) -> Basis:
    """The direction of the difference of the means, and rank − 1 random ones orthogonal to it.

    One vector (`raw_direction`) is all that the means give; the random rest keeps rank and budget equal among the controls.
    """
    first = raw_direction(aligned, unaligned)
    _check_rank(rank, len(first), "the width")
    rest = np.random.default_rng(seed).standard_normal((len(first), rank - 1))
    return orthonormal(np.column_stack([first, rest]))


def raw_direction(aligned: Float[np.ndarray, "n d"], unaligned: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "d 1"]:
    """The unit difference of the means: the one-dimensional estimator that the theory compares with."""
    difference = aligned.mean(axis=0, dtype=np.float64) - unaligned.mean(axis=0, dtype=np.float64)
    if not np.linalg.norm(difference) > 0:
        raise InputError("mean_diff: the means of the two classes are equal, so they give no direction")
    return orthonormal(difference[:, None])


def pca_diff(aligned: Float[np.ndarray, "n d"], unaligned: Float[np.ndarray, "m d"], rank: int, seed: int) -> Basis:
    """The leading right singular vectors of the uncentred differences of random aligned–unaligned pairs.

    Every row of the smaller class stands in exactly one pair.
    """
    rng = np.random.default_rng(seed)
    count = min(len(aligned), len(unaligned))
    first, second = (rows[rng.permutation(len(rows))[:count]].astype(np.float64) for rows in (aligned, unaligned))
    _check_rank(rank, min(count, first.shape[1]), "the number of pairs or the width")
    return orthonormal(np.linalg.svd(short(first - second), full_matrices=False)[2][:rank].T)


def cov_diff(aligned: Float[np.ndarray, "n d"], unaligned: Float[np.ndarray, "m d"], rank: int) -> Basis:
    """The eigenvectors of the difference of the two covariances whose eigenvalues are largest in size.

    In population, with noise of one covariance, it recovers the span of all directions whose variances differ (W_T in the theory).
    """
    halves = [_centred(rows) for rows in (aligned, unaligned)]
    d = halves[0].shape[1]
    _check_rank(rank, min(d, sum(len(half) for half in halves)), "the number of rows or the width")
    # both covariances live in the span of the rows: with fewer rows than width the problem is that small
    span = np.linalg.qr(np.concatenate(halves).T)[0] if sum(len(half) for half in halves) < d else np.eye(d)
    inside = [half @ span for half in halves]
    values, vectors = np.linalg.eigh(inside[0].T @ inside[0] - inside[1].T @ inside[1])
    return orthonormal(span @ vectors[:, np.argsort(-np.abs(values), kind="stable")[:rank]])


def _centred(rows: np.ndarray) -> np.ndarray:
    """C with CᵀC the unbiased covariance."""
    if len(rows) < 2:
        raise InputError(f"cov_diff: {len(rows)} rows in one class, expected at least 2")
    wide = rows.astype(np.float64)
    return (wide - wide.mean(axis=0)) / np.sqrt(len(rows) - 1)


def _check_rank(rank: int, most: int, limit: str) -> None:
    if not 1 <= rank <= most:
        raise InputError(f"control subspace: rank {rank}, expected 1 to {most} ({limit})")
