"""What casting W(k) costs, beside what the cut removed and what it kept (truncation.md, section 3, bf16 warning)."""

from collections.abc import Sequence

import ml_dtypes
import numpy as np

Roundoff = dict[str, dict[str, float] | None]
KINDS = {"float32": np.dtype(np.float32), "float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
WARN_ABOVE = 0.1


def matrix_roundoff(weight: np.ndarray, dtype: str, kept: float, removed: float) -> tuple[float | None, float | None]:
    """(ratio, delta): ‖cast(W) − W‖_F over ‖ΔW − ΔW(g)‖_F and over ‖ΔW(g)‖_F; None where the divisor is 0.

    Args:
      weight: W(k), float32.
      kept, removed: Frobenius norms of ΔW(g) and of ΔW − ΔW(g).
    """
    error = 0.0 if dtype == "float32" else float(np.linalg.norm(weight.astype(KINDS[dtype]).astype(np.float32) - weight))
    return (error / removed if removed else None, error / kept if kept else None)


def summary(pairs: Sequence[tuple[float | None, float | None]]) -> Roundoff:
    """`{"ratio", "delta"}`, each with median and max over the matrices where it is defined, or None."""
    result: Roundoff = {}
    for name, values in zip(("ratio", "delta"), zip(*pairs, strict=True), strict=True):
        defined = [value for value in values if value is not None]
        result[name] = {"median": float(np.median(defined)), "max": max(defined)} if defined else None
    return result
