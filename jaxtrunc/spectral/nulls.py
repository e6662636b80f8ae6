"""Spectra that ΔW would have without structure: signs flipped, entries permuted, or bf16 rounding alone."""

import hashlib

import numpy as np
from scipy.sparse.linalg import svds

DRAWS = 20
QUANTILE = 0.95
BF16_BITS = 8  # of the significand, the hidden one included


def signflip_edge(update: np.ndarray, name: str) -> float:
    """95th percentile over 20 draws of s₁(ε ∘ ΔW), ε iid ±1: keeps the variances of rows and columns."""
    rng = _generator(name, "signs")
    signs = np.array([-1, 1], np.float32)
    return float(np.quantile([_largest(update * rng.choice(signs, update.shape)) for _ in range(DRAWS)], QUANTILE))


def permuted_edge(update: np.ndarray, name: str) -> float:
    """s₁ of ΔW with its entries permuted: the reference without row and column structure."""
    return _largest(_generator(name, "permutation").permutation(update.reshape(-1)).reshape(update.shape))


def bf16_floor(after: np.ndarray, update: np.ndarray) -> tuple[float | None, float | None]:
    """(edge, unchanged): predicted bulk edge of bf16 rounding, rms(ulp(W_ft))/√12 · (√m+√n).

    The edge is None where rms(ΔW) < rms(ulp)/2: small updates round away, and the error is then tied to ΔW; `unchanged`
    is then the share of entries below half an ulp, else None.
    """
    _, exponent = np.frexp(np.abs(after))
    ulp = np.ldexp(np.float64(1), exponent - BF16_BITS)
    spacing = float(np.sqrt(np.mean(ulp**2)))
    if np.sqrt(np.mean(np.square(update, dtype=np.float64))) < spacing / 2:
        return None, float(np.mean(np.abs(update) < ulp / 2))
    m, n = update.shape
    return spacing / 12**0.5 * (m**0.5 + n**0.5), None


def _largest(matrix: np.ndarray) -> float:
    """The largest singular value, by Lanczos with a fixed start."""
    start = np.ones(min(matrix.shape))
    return float(np.max(svds(matrix.astype(np.float64), k=1, v0=start, return_singular_vectors=False)))  # type: ignore[arg-type]


def _generator(name: str, purpose: str) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256(f"{purpose} {name}".encode()).digest()))
