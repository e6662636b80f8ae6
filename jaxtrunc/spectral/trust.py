"""When a level's score says more about arithmetic than about the update."""

from collections.abc import Mapping
from typing import Any

NORM_FACTOR = 100.0
"""A control that must be multiplied by more than this to have the norm of top_k consists of numerical noise."""

ROUNDOFF = 0.1
"""Above this share of what a cut kept or removed, the cast of the weights hides the cut."""


DRIFT = 1e-5
"""ΔW(g) accumulated over levels may differ by so much from one product, relative to its norm."""


def distrust(max_norm_factor: float | None, roundoff: Mapping[str, Any] | None, dtype: str,
             drift: float | None = None) -> list[str]:
    """Reasons, for a person, not to believe a level; a record holds all that is asked for."""
    reasons = []
    if max_norm_factor is not None and max_norm_factor > NORM_FACTOR:
        reasons.append(f"a matrix was multiplied by more than {NORM_FACTOR:.0f} to have the norm of top_k, so numerical noise "
                       "is scored")
    shares = [summary["max"] for summary in (roundoff or {}).values() if summary]
    if max(shares, default=0.0) > ROUNDOFF:
        reasons.append(f"rounding W(k) to {dtype} changes a matrix by more than {ROUNDOFF:.0%} of what the cut kept or removed")
    if drift is not None and drift > DRIFT:
        reasons.append(f"ΔW(k) as accumulated over levels was off by more than {DRIFT:.0e} of its norm; this level was rebuilt "
                       "exactly, those between were not")
    return reasons
