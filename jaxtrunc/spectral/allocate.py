"""How many components of each matrix a level keeps: the same k, a share of r, or the K largest of all matrices together."""

import numpy as np

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral.decomposition import Decomposition
from jaxtrunc.spectral.levels import Level


def ranks_of(decomposition: Decomposition, level: Level) -> dict[str, int | None]:
    """Matrix name → k; None where the level has neither k nor a fraction.

    A fraction ρ gives max(1, round(ρ r)), and 0 only for ρ = 0 (truncation.md, section 3).
    """
    if level.scope != "per_leaf":
        return dict(_global_ranks(decomposition, level))
    if level.k is not None:
        return dict.fromkeys(decomposition.matrices, level.k)
    share = level.param
    if share is None:
        return dict.fromkeys(decomposition.matrices)
    return {name: max(1, round(share * svd.r)) if share else 0 for name, svd in decomposition.matrices.items()}


def _global_ranks(decomposition: Decomposition, level: Level) -> dict[str, int]:
    """The K largest components overall, ordered by s or by s/‖ΔW‖_F; ties go to the earlier matrix."""
    if level.k is None or level.operator not in ("top_k", "drop_top_k") or level.scope not in ("global", "global_relative"):
        raise InputError(f"scope {level.scope}: known scopes are per_leaf, global and global_relative; the latter two need a k and "
                         "serve top_k and drop_top_k only")
    matrices = decomposition.matrices
    scaled = [svd.s / (svd.frobenius if level.scope == "global_relative" else 1.0) for svd in matrices.values()]
    owner = np.concatenate([np.full(len(s), index) for index, s in enumerate(scaled)])
    kept = np.argsort(-np.concatenate(scaled), kind="stable")[:level.k]
    counts = np.bincount(owner[kept], minlength=len(matrices))
    return {name: int(count) for name, count in zip(matrices, counts, strict=True)}
