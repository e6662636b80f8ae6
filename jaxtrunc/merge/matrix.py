"""The spectral methods on one matrix: T task matrices in, their merged update and what is known of it out.

Every function takes `taus` `(T, m, n)` = (tasks, fan in, fan out), weights multiplied in already, as an array of NumPy or JAX, and
returns a dict of arrays: `delta` `(m, n)`, `rank_used`, `sti_before`, `sti_after` (NaN where it does not apply) and
`principal` (see `interference.principal_cosines`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxtrunc.merge.bases import Triplets, effective, polar, triplets
from jaxtrunc.merge.interference import principal_cosines
from jaxtrunc.merge.settings import MergeSettings, Sigma
from jaxtrunc.merge.vote import elect, kept_count, largest
from jaxtrunc.spectral.interference import sti

COMMON_SHARE = 0.8
"""Of min(m, n) in the common subspace of iso_cts (Marczak et al. 2025, arXiv 2502.04959)."""

KNOTS_ZERO = 1e-5
"""Singular values up to here are dropped by knots_ties, as its authors' code does."""


@dataclass(frozen=True)
class MatrixPlan:
    """All that the result depends on besides the numbers; hashable, so that each is compiled once.

    Attributes:
      components: k of each task, for its basis and for the interference that is reported.
    """

    method: str
    components: int
    sigma: Sigma
    densities: tuple[float, ...]
    normalize: bool
    rcond_sv: float


def plan_matrix(settings: MergeSettings, shape: tuple[int, int]) -> tuple[MatrixPlan | None, bool]:
    """The plan for a matrix, None if it is to be averaged, and whether its rank had to be lowered."""
    how, shortest = settings.how, min(shape)
    k, lowered = settings.components(shortest)
    if not how.spectral or (how.blocks and k == 0):
        return None, False
    sigma = settings.sigma if how.name == "orthogonal" else "keep"
    densities = settings.densities if how.name == "knots_ties" else ()
    return MatrixPlan(how.name, k, sigma, densities, settings.normalized, settings.rcond_sv), lowered


def merge_matrix(plan: MatrixPlan, taus: Any) -> dict[str, Any]:
    """The merged update of one matrix, without λ."""
    return METHODS[plan.method](plan, taus)


def _orthogonal(plan: MatrixPlan, taus: Any) -> dict[str, Any]:
    """Δ = msign(Û)·diag(s)·msign(V̂)ᵀ; with all of min(m, n)/T components and σ kept this is TSV-Merge (arXiv 2412.00081)."""
    found, used = _sound(plan, taus)
    before, after, rank = _orthogonalised(found, used, plan.rcond_sv)
    xp = after[0].__array_namespace__()
    u, s, v = after
    counted = xp.concatenate(used)
    if plan.sigma != "keep":
        level = s.sum() / xp.maximum(counted.sum(), 1) if plan.sigma == "flat" else 1.0
        s = xp.where(counted, level, 0.0 * s)
    return {"delta": (u * s) @ v.T, "rank_used": rank, "sti_before": sti(*before), "sti_after": sti(u, s, v),
            "principal": principal_cosines(found)}


def _iso_c(plan: MatrixPlan, taus: Any) -> dict[str, Any]:
    """Isotropic merging in the common subspace: Στ with all singular values set to their mean (arXiv 2502.04959)."""
    u, s, v = triplets(_sum(taus), min(taus.shape[1:]))
    used = effective(s, max(taus.shape[1:]))
    return {"delta": ((u * used) @ v.T) * s.mean(), "rank_used": used.sum(), **_interference(plan, taus),
            "sti_after": 0.0 * s[0] + np.nan}


def _iso_cts(plan: MatrixPlan, taus: Any) -> dict[str, Any]:
    """The same in common and task-specific subspaces (arXiv 2502.04959, section 4.3)."""
    shortest, longest = min(taus.shape[1:]), max(taus.shape[1:])
    own = round((shortest - int(COMMON_SHARE * shortest)) / len(taus))
    common = triplets(_sum(taus), shortest - own * len(taus))
    shared = common[2]
    found = [common] + ([triplets(tau - (tau @ shared) @ shared.T, own) for tau in taus] if own else [])
    _, (u, s, v), rank = _orthogonalised(found, [effective(s, longest) for _, s, _ in found], plan.rcond_sv)
    level = 0.0 * s + s.mean()
    return {"delta": (u * level) @ v.T, "rank_used": rank, **_interference(plan, taus), "sti_after": sti(u, level, v)}


def _knots_ties(plan: MatrixPlan, taus: Any) -> dict[str, Any]:
    """TIES on the coordinates of the tasks in a shared output basis (Stoica et al. 2024, arXiv 2410.19735)."""
    tasks, m, n = taus.shape
    stacked = taus.reshape(tasks * m, n)
    _, s, v = triplets(stacked, min(stacked.shape))
    used = s > KNOTS_ZERO
    shared = v * used
    blocks = taus.astype(shared.dtype) @ shared
    xp, columns = shared.__array_namespace__(), used.sum()
    counts = [np.array([kept_count(density, m * r) for r in range(len(s) + 1)]) for density in plan.densities]
    kept = xp.stack([block if density == 1 else largest(block, count, columns)
                     for block, density, count in zip(blocks, plan.densities, counts, strict=True)])
    merged = elect(kept, xp.ones(tasks, kept.dtype), plan.normalize)
    return {"delta": merged @ shared.T, "rank_used": columns, **_interference(plan, taus), "sti_after": 0.0 * s[0] + np.nan}


METHODS = {"orthogonal": _orthogonal, "tsv_merge": _orthogonal, "iso_c": _iso_c, "iso_cts": _iso_cts, "knots_ties": _knots_ties}


def _orthogonalised(found: Sequence[Triplets], used: Sequence[Any], rcond: float) -> tuple[Triplets, Triplets, Any]:
    """Bases side by side, before and after both got their polar factor, and the directions left; arbitrary ones are zero."""
    xp = found[0][0].__array_namespace__()
    u, s, v = (xp.concatenate(parts, axis=-1) for parts in zip(*found, strict=True))
    counted = xp.concatenate(list(used))
    u, s, v = u * counted, s * counted, v * counted
    (left, rank_left), (right, rank_right) = polar(u, rcond), polar(v, rcond)
    return (u, s, v), (left, s, right), xp.minimum(rank_left, rank_right)


def _sum(taus: Any) -> Any:
    return taus.sum(0, dtype=np.float64 if isinstance(taus, np.ndarray) else None)


def _sound(plan: MatrixPlan, taus: Any) -> tuple[list[Triplets], list[Any]]:
    """The leading triplets of each task, those that are rounding set to zero, and which are not: those of a frozen matrix are."""
    found = [triplets(tau, plan.components) for tau in taus]
    used = [effective(s, max(taus.shape[1:])) for _, s, _ in found]
    return [(u * kept, s * kept, v * kept) for (u, s, v), kept in zip(found, used, strict=True)], used


def _interference(plan: MatrixPlan, taus: Any) -> dict[str, Any]:
    """That of the tasks as they come, for methods that do not need their bases themselves."""
    found, _ = _sound(plan, taus)
    xp = found[0][0].__array_namespace__()
    if not plan.components:
        return {"sti_before": xp.asarray(np.nan), "principal": xp.zeros((0, 0))}
    before = sti(*(xp.concatenate(parts, axis=-1) for parts in zip(*found, strict=True)))
    return {"sti_before": before, "principal": principal_cosines(found)}
