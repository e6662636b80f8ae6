"""Intervals in closed form: Wilson for one proportion, MOVER for sums and ratios of them, McNemar's test for pairs.

MOVER ("method of variance estimates recovery") builds the interval of a combination from Wilson limits of its parts.
Sources: Wilson 1927; Newcombe 1998, Statistics in Medicine 17, 857-872 (independent) and 2635-2650 (paired, method 10);
Zou & Donner 2008, Statistics in Medicine 27, 1693-1702 (sums); Donner & Zou 2012, Statistical Methods in Medical
Research 21, 347-359 (ratios).
"""

import math

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import binomtest, norm

TWO_SIDED = float(norm.ppf(0.975))
ONE_SIDED = float(norm.ppf(0.95))

Interval = tuple[float, float]


def wilson(p: Float[np.ndarray, "*s"] | float, n: Float[np.ndarray, "*s"] | float, z: float = TWO_SIDED):
    """Wilson limits (low, high) of a proportion `p` of `n`; NaN where n is 0. Broadcasts."""
    n = np.where(np.asarray(n) > 0, n, np.nan)
    p = np.asarray(p, float)
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)  # rounding may step over the ends


def linear_interval(
    weights: Float[np.ndarray, " S"], p: Float[np.ndarray, " S"], n: Float[np.ndarray, " S"], z: float = TWO_SIDED
) -> Interval:
    """MOVER limits of Σ w·p over independent proportions p of n; cells of weight 0 play no part."""
    used = weights != 0
    weights, p = weights[used], p[used]
    low, high = wilson(p, n[used], z)
    return _mover(weights, p, p - low, high - p)


def paired_interval(
    weights: Float[np.ndarray, " S"],
    index: np.ndarray,
    first: Bool[np.ndarray, " n"],
    second: Bool[np.ndarray, " n"],
    z: float = TWO_SIDED,
) -> Interval:
    """MOVER limits of Σ w·(p_first − p_second), both measured on the same examples.

    Args:
      weights: one weight per cell.
      index: (n,) the cell of each example.
      first, second: correctness of two models on the examples.
    """
    cells = np.flatnonzero(weights)
    parts = [_paired_difference(first[index == cell], second[index == cell], z) for cell in cells]
    difference, below, above = np.array(parts).T
    return _mover(weights[cells], difference, below, above)


def ratio_interval(
    top: float, top_interval: Interval, bottom: float, bottom_interval: Interval
) -> Interval:
    """MOVER limits of |top| / |bottom| from the two intervals, taken as independent; no upper one if bottom may be 0.

    `top_interval` must exclude 0.
    """
    (low_top, high_top), (low_bottom, high_bottom) = _magnitudes(top_interval), _magnitudes(bottom_interval)
    top, bottom = abs(top), abs(bottom)
    product = top * bottom
    root = np.sqrt(max(product**2 - low_top * (2 * top - low_top) * high_bottom * (2 * bottom - high_bottom), 0.0))
    low = low_top * (2 * top - low_top) / (product + root)
    if low_bottom <= 0:
        return float(low), math.inf
    reach = low_bottom * (2 * bottom - low_bottom)
    root = np.sqrt(max(product**2 - high_top * (2 * top - high_top) * reach, 0.0))
    return float(low), float((product + root) / reach)


def mcnemar(first: Bool[np.ndarray, " n"], second: Bool[np.ndarray, " n"]) -> float:
    """Two-sided p-value of the exact McNemar test that two models are right equally often on the same examples."""
    gained, lost = int((~first & second).sum()), int((first & ~second).sum())
    return 1.0 if gained + lost == 0 else float(binomtest(gained, gained + lost).pvalue)


def covers_zero(interval: Interval | None) -> bool:
    """Whether 0 lies in the interval; an unknown interval may hold anything."""
    return interval is None or interval[0] <= 0 <= interval[1]


def _mover(weights, estimate, below, above) -> Interval:
    """Zou & Donner 2008; `below` and `above` are distances from each estimate to its limits."""
    value = float(weights @ estimate)
    down = np.where(weights > 0, below, above)
    up = np.where(weights > 0, above, below)
    return value - float(np.linalg.norm(weights * down)), value + float(np.linalg.norm(weights * up))


def _paired_difference(first: np.ndarray, second: np.ndarray, z: float) -> tuple[float, float, float]:
    """Difference of two paired proportions with its distances to both limits (Newcombe 1998, method 10)."""
    p, q = first.mean(), second.mean()
    (p_low, q_low), (p_high, q_high) = wilson(np.array([p, q]), len(first), z)
    phi = _phi(first, second)
    below = (p - p_low) ** 2 - 2 * phi * (p - p_low) * (q_high - q) + (q_high - q) ** 2
    above = (p_high - p) ** 2 - 2 * phi * (p_high - p) * (q - q_low) + (q - q_low) ** 2
    return p - q, np.sqrt(max(below, 0)), np.sqrt(max(above, 0))


def _phi(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of two binary outcomes, pulled towards 0 as in Newcombe's method 10; 0 if one is constant."""
    both, neither = (first & second).sum(), (~first & ~second).sum()
    only_first, only_second = (first & ~second).sum(), (~first & second).sum()
    margins = float(first.sum()) * (~first).sum() * second.sum() * (~second).sum()
    if margins == 0:
        return 0.0
    product = float(both) * neither - float(only_first) * only_second
    return (max(product - len(first) / 2, 0.0) if product > 0 else product) / np.sqrt(margins)


def _magnitudes(interval: Interval) -> Interval:
    """Limits of |x| from limits of x."""
    low, high = interval
    return (0.0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))
