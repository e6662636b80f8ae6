"""How much the directions of several tasks overlap, in NumPy or JAX."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from jaxtrunc.merge.bases import Triplets, triplets
from jaxtrunc.spectral.interference import Normalize, sti

COSINES = 8
"""Leading cosines that are reported for each pair of tasks."""


def interference(tasks: Sequence[Any], k: int, normalize: Normalize = "pairs") -> Any:
    """STI of the k leading triplets of each of T task matrices `(m, n)`; 0 for one task or orthogonal subspaces."""
    found = [triplets(task, k) for task in tasks]
    xp = found[0][0].__array_namespace__()
    return sti(*(xp.concatenate(parts, axis=-1) for parts in zip(*found, strict=True)), normalize=normalize)


def frobenius_cosines(gram: Any) -> Any:
    """⟨M_i, M_j⟩ / (‖M_i‖‖M_j‖) `(T, T)` from the inner products; NaN where a task is zero."""
    xp = gram.__array_namespace__()
    norms = xp.sqrt(xp.diagonal(gram))
    products = norms[:, None] * norms[None]
    return xp.where(products > 0, gram / xp.where(products > 0, products, 1.0), xp.nan)


def principal_cosines(bases: Sequence[Triplets]) -> Any:
    """The leading singular values of U_iᵀU_j for each pair i < j, `(T(T − 1)/2, ≤ 8)`."""
    xp = bases[0][0].__array_namespace__()
    found = [xp.linalg.svdvals(a[0].T @ b[0])[:COSINES] for a, b in combinations(bases, 2)]
    return xp.stack(found) if found else xp.zeros((0, 0))
