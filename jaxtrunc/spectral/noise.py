"""The Marchenko–Pastur law of pure noise, and the cut-offs that follow from it without data."""

import functools

import numpy as np
from scipy.integrate import cumulative_trapezoid

from jaxtrunc.spectral.decomposition import Spectrum

EDGE_SLACK = 1.02
"""Finite noise can poke out of its asymptotic bulk."""


@functools.lru_cache(maxsize=256)
def _law(beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Grid on [(1−√β)², (1+√β)²] and the distribution function there (substitution x = 1 + β + 2√β cos θ)."""
    theta = np.linspace(np.pi, 0, 20001)[1:]  # the open end: for β = 1 the density is infinite at 0
    x = 1 + beta + 2 * np.sqrt(beta) * np.cos(theta)
    mass = (2 * np.sqrt(beta) * np.sin(theta)) ** 2 / (2 * np.pi * beta * x)
    cdf = cumulative_trapezoid(mass, -theta, initial=0)
    return x, cdf / cdf[-1]


def mp_cdf(x: np.ndarray, beta: float) -> np.ndarray:
    """Share of the s²/σ̂² of pure noise at or below x, for aspect ratio β = short/long."""
    return np.interp(x, *_law(beta))


def mp_median_root(beta: float) -> float:
    """μ_β, the square root of the median of the Marchenko–Pastur law; μ_0.5 ≈ 0.9113."""
    x, cdf = _law(beta)
    return float(np.sqrt(np.interp(0.5, cdf, x)))


def hard_threshold_factor(beta: float) -> float:
    """ω(β) of Gavish and Donoho (2014, eq. 11), in units of σ̂; ω(1) = 4/√3."""
    return float(np.sqrt(2 * (beta + 1) + 8 * beta / ((beta + 1) + np.sqrt(beta**2 + 14 * beta + 1))))


def aspect(spectrum: Spectrum) -> float:
    """β = r/max(m, n)."""
    return spectrum.r / max(spectrum.shape)


def noise_level(spectrum: Spectrum) -> float | None:
    """σ̂ = median(s over all r)/μ_β (noise std × √max(m, n)); None where ρ < r/2 or only leading components are known."""
    if not spectrum.complete or spectrum.rank < spectrum.r / 2:
        return None
    return float(np.median(spectrum.s)) / mp_median_root(aspect(spectrum))


def mp_edge(spectrum: Spectrum) -> float | None:
    """Upper edge σ̂(1+√β) of the noise bulk, if there is one."""
    level = noise_level(spectrum)
    return None if level is None else level * (1 + aspect(spectrum) ** 0.5)


def hard_threshold(spectrum: Spectrum) -> float | None:
    """τ = ω(β) σ̂, if there is a noise bulk."""
    level = noise_level(spectrum)
    return None if level is None else level * hard_threshold_factor(aspect(spectrum))


def bulk_distance(spectrum: Spectrum) -> float | None:
    """Kolmogorov distance between the bulk (components up to the slack edge) and the fitted law."""
    level, edge = noise_level(spectrum), mp_edge(spectrum)
    if level is None or edge is None:
        return None
    bulk = np.sort(spectrum.s[spectrum.s <= EDGE_SLACK * edge])
    expected = mp_cdf((bulk / level) ** 2, aspect(spectrum))
    steps = np.arange(len(bulk) + 1) / len(bulk)
    return float(max(np.max(steps[1:] - expected), np.max(expected - steps[:-1])))
