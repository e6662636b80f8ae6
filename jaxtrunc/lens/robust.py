"""How far a value stands out among many, judged by their middle and not by the outliers themselves."""

from typing import Any

import numpy as np

NORMAL = 0.6745
"""MAD of a standard normal distribution."""
BINS = 60


def robust_z(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """0.6745·(x − median)/MAD with both taken over the marked values; NaN for the others, and everywhere if MAD is 0."""
    median, mad = centre(values[among])
    found = np.full(len(values), np.nan)
    if mad > 0:
        found[among] = NORMAL * (values[among] - median) / mad
    return found


def centre(values: np.ndarray) -> tuple[float, float]:
    """Median, and median distance from it."""
    median = float(np.median(values))
    return median, float(np.median(np.abs(values - median)))


def histogram(values: np.ndarray, threshold: float) -> dict[str, Any]:
    """Counts in equal bins, and the values at robust z = ∓threshold (None where z is undefined)."""
    counts, edges = np.histogram(values, BINS)
    median, mad = centre(values)
    reach = threshold * mad / NORMAL
    return {"edges": edges, "counts": counts, "median": median, "mad": mad,
            "low": median - reach if mad > 0 else None, "high": median + reach if mad > 0 else None}
