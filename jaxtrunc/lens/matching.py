"""Which direction of the tuned head a direction of the base has become."""

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from jaxtrunc.lens.align import Alignment
from jaxtrunc.lens.audit import Audit

OTHER = {"+": "-", "-": "+"}


def match_directions(base: Audit, tuned: Audit, rows: Alignment) -> tuple[list[dict[str, Any]], np.ndarray]:
    """The assignment of directions with the largest sum of |cos|, and the matrix |V_bᵀ·V_f| `(K_b, K_f)`.

    A base pole is compared with the tuned pole that points its way.
    """
    cosines = base.svd.v[:, : base.svd.k].T @ tuned.svd.v[:, : tuned.svd.k]
    pairs = zip(*linear_sum_assignment(-np.abs(cosines)), strict=True)
    return [_pair(base, tuned, rows, int(i), int(j), float(cosines[i, j])) for i, j in pairs], np.abs(cosines)


def _pair(base: Audit, tuned: Audit, rows: Alignment, i: int, j: int, cosine: float) -> dict[str, Any]:
    ours, theirs = base.directions[i]["poles"], tuned.directions[j]["poles"]
    across = {pole: pole if cosine >= 0 else OTHER[pole] for pole in ours}
    back = {pole: rows.to_base(facts["ids"], tuned.rows.shape[0]) for pole, facts in theirs.items()}
    return {"base": i, "tuned": j, "cosine": abs(cosine), "flipped": bool(cosine < 0),
            "sigma_ratio": tuned.svd.sigma[j] / base.svd.sigma[i],
            "jaccard": {pole: _jaccard(ours[pole]["ids"], back[across[pole]]) for pole in ours},
            "delta_vcs": {pole: theirs[across[pole]]["vcs"] - ours[pole]["vcs"] for pole in ours}}


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    both = len(np.intersect1d(a, b))
    return both / (len(a) + len(b) - both)
