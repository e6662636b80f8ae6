"""From decoder rows to the basis U that an adapter starts from (SAILS, arXiv 2512.23260, with stated deviations).

Rows are directions, so each is made a unit vector; a weight (by default |Δ|) then says how much it counts. Unweighted, many
unspecific features drown the few that matter. The rows are not centred unless asked: the theory's spans pass through the origin.
"""

import numpy as np
from jaxtyping import Float

from jaxtrunc.core.errors import InputError
from jaxtrunc.sae.bases import orthonormal, short
from jaxtrunc.sae.bundle import Origin, SubspaceBundle

RANK, TAU = 16, 0.8
DEPENDENT = 1e-5
"""Singular values below this share of the largest count as zero."""
MOST_EXACT = 8192
"""The largest width that is decomposed in float64; above it float32, half of the memory."""


def subspace(rows: Float[np.ndarray, "m d"], weights: Float[np.ndarray, " m"] | None = None, rank: int = RANK, tau: float = TAU,
             center: bool = False, origin: Origin | None = None) -> SubspaceBundle:
    """The span of the `rank` leading right singular vectors of the unit rows times their weights.

    Args:
      rows: any length but zero; normalised here.
      weights: |Δ| of each feature (weighting "delta"), or None (weighting "none").
      tau: share of Σσ² that the reported q components hold; it does not change U.
      center: subtract the mean of the weighted rows first.

    Raises:
      InputError: rows or weights of another shape, not finite, or zero; rank or tau out of range; rows that span fewer than
        `rank` dimensions (the message says how many).
    """
    origin = origin or Origin()
    scaled, factors = _weighted(np.asarray(rows), weights, origin)
    if not 0 < tau <= 1:
        raise InputError(f"subspace {origin.site}: tau {tau}, expected a share above 0 and at most 1")
    if center:
        scaled = scaled - scaled.mean(axis=0)
    singular_values, leading = _decomposed(scaled, rank, origin)
    energy = singular_values**2
    held = np.cumsum(energy) / energy.sum()
    beyond = singular_values[rank] if rank < len(singular_values) else 0.0
    return SubspaceBundle(
        u=orthonormal(leading), singular_values=singular_values, features=np.array(origin.features, np.int64), weights=factors,
        q=int(np.sum(held < tau * (1 - 1e-12))) + 1, variance=float(held[rank - 1]),
        sigma_ratio=float(singular_values[rank - 1] / beyond) if beyond > 0 else None, site=origin.site, sae=origin.sae,
        settings={"rank": rank, "tau": tau, "weighting": "none" if weights is None else "delta", "center": center})


def _weighted(rows: np.ndarray, weights: np.ndarray | None, origin: Origin) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows times weights, and the weights."""
    where = f"subspace {origin.site}"
    if rows.ndim != 2 or not rows.size:
        raise InputError(f"{where}: rows of shape {rows.shape}, expected (features, width)")
    factors = np.ones(len(rows)) if weights is None else np.asarray(weights, np.float64)
    if factors.shape != (len(rows),) or not np.isfinite(factors).all() or (factors < 0).any():
        raise InputError(f"{where}: weights must be {len(rows)} finite numbers that are not negative, one for each row")
    if origin.features and len(origin.features) != len(rows):
        raise InputError(f"{where}: {len(origin.features)} features for {len(rows)} rows")
    wide = rows.astype(np.float64 if rows.shape[1] <= MOST_EXACT else np.float32)
    lengths = np.linalg.norm(wide, axis=1)
    if not np.isfinite(lengths).all() or not lengths.all():
        bad = int(np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))[0])
        named = f"feature {origin.features[bad]}" if origin.features else f"row {bad}"
        raise InputError(f"{where}: the decoder row of {named} is zero or not finite; leave that feature out")
    return wide * (factors / lengths).astype(wide.dtype)[:, None], factors


def _decomposed(rows: np.ndarray, rank: int, origin: Origin) -> tuple[np.ndarray, np.ndarray]:
    """All singular values in float64, and the `rank` leading right singular vectors as columns."""
    m, d = rows.shape
    singular_values, right = np.linalg.svd(short(rows), full_matrices=False)[1:]
    usable = int(np.sum(singular_values > DEPENDENT * singular_values[0]))
    if not 1 <= rank <= usable:
        raise InputError(f"subspace {origin.site}: rank {rank}, but {m} rows of width {d} span {usable} dimensions; "
                         f"expected a rank from 1 to {usable}")
    return singular_values.astype(np.float64), right[:rank].T
