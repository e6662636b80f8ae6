"""What the spectrum of one ΔW looks like, beside what pure noise would look like (truncation.md, section 9)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxtrunc.core.progress import Advance
from jaxtrunc.spectral.decomposition import Decomposition, MatrixSVD, Spectrum
from jaxtrunc.spectral.noise import EDGE_SLACK, bulk_distance, hard_threshold, mp_edge
from jaxtrunc.spectral.nulls import bf16_floor, permuted_edge, signflip_edge
from jaxtrunc.spectral.roundoff import matrix_roundoff
from jaxtrunc.spectral.view import delta, read_matrix

ENERGY_SHARES = (0.5, 0.9, 0.99)
MP_LIMIT = 0.1
BF16_ZERO_SHARE = 0.2
INTRUDER_VECTORS, INTRUDER_COSINE = 10, 0.5


def diagnostics(decomposition: Decomposition, base: Mapping[str, Any], ft: Mapping[str, Any], *, dtype: str = "float32",
                advance: Advance | None = None) -> dict[str, dict[str, Any]]:
    """The `spectra` object: matrix name → diagnostics.

    Args:
      dtype: in which the matrix products of the evaluation read W; `roundoff_delta` is that of FT in it.
    """
    found = {}
    for name, svd in decomposition.matrices.items():
        found[name] = spectrum_facts(svd) | _matrix_facts(svd, base, ft, dtype)
        if advance:
            advance(1, name)
    return found


def spectrum_facts(svd: Spectrum) -> dict[str, Any]:
    """Everything that follows from the singular values alone. `shape` is (out, in), as the tensor is stored on disk."""
    s = svd.s
    energy = s**2
    total = float(energy.sum()) if svd.complete else svd.frobenius**2
    held = np.cumsum(energy) / total
    return {
        "shape": list(svd.shape[::-1]), "rank": svd.rank, "frobenius": total**0.5,
        "stable_rank": total / float(energy[0]),
        "effective_rank": _exp_entropy(s), "effective_rank_energy": _exp_entropy(energy),
        "participation_ratio": total**2 / float((energy**2).sum()),
        "energy_k": {str(share): _least_k(held, share) for share in ENERGY_SHARES},
        "energy_curve": [[k, float(held[k - 1])] for k in _log_grid(len(s))],
        "tail_slope": _tail_slope(s[:svd.rank]),
        **_noise_facts(svd),
    }


def spectral_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Largest difference of cumulative energy of two spectra of equal length, between 0 and 1."""
    curves = [np.cumsum(s**2) / np.sum(s**2) for s in (first, second)]
    return float(np.abs(curves[0] - curves[1]).max())


def _noise_facts(svd: Spectrum) -> dict[str, Any]:
    edge, distance = mp_edge(svd), bulk_distance(svd)
    bulk = None if edge is None else svd.s[svd.s <= EDGE_SLACK * edge]
    return {
        "mp_edge": edge, "dg_hard": hard_threshold(svd),
        "spikes": None if bulk is None else len(svd.s) - len(bulk),
        "bulk_energy": None if bulk is None else float(np.sum(bulk**2) / np.sum(svd.s**2)),
        "mp_distance": distance, "mp_valid": None if distance is None else distance <= MP_LIMIT,
    }


def _matrix_facts(svd: MatrixSVD, base: Mapping[str, Any], ft: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """What needs the matrices themselves."""
    update = delta(base, ft, svd.ref)
    before = read_matrix(base[svd.ref.path], svd.ref).astype(np.float32)
    after = read_matrix(ft[svd.ref.path], svd.ref).astype(np.float32)
    floor, unchanged = bf16_floor(after, update)
    return {
        "relative_norm": svd.frobenius / float(np.linalg.norm(before)) if before.any() else None,
        "signflip_edge": signflip_edge(update, svd.name), "permuted_edge": permuted_edge(update, svd.name),
        "bf16_floor": floor, "below_bf16": unchanged, "zero_share": svd.zero_share,
        "bf16_source": svd.zero_share > BF16_ZERO_SHARE,
        "roundoff_delta": matrix_roundoff(after, dtype, svd.frobenius, 0.0)[1],
        "intruders": intruders(before, after),
    }


def intruders(before: np.ndarray, after: np.ndarray) -> int:
    """How many of the ten leading left singular vectors of W_ft have no cosine above 0.5 with any of W_base."""
    old = np.linalg.svd(before.astype(np.float64), full_matrices=False)[0]
    new = np.linalg.svd(after.astype(np.float64), full_matrices=False)[0][:, :INTRUDER_VECTORS]
    return int((np.abs(old.T @ new).max(axis=0) < INTRUDER_COSINE).sum())


def _exp_entropy(weights: np.ndarray) -> float:
    shares = weights[weights > 0] / weights.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def _least_k(held: np.ndarray, share: float) -> int | None:
    """Fewest components that hold the share; None where too few components are known."""
    k = int(np.searchsorted(held, share)) + 1
    return k if k <= len(held) else None


def _log_grid(length: int) -> list[int]:
    return sorted({*(1 << bit for bit in range(length.bit_length())), length})


def _tail_slope(s: np.ndarray) -> float | None:
    """Slope of ln s against ln i over the second half of the non-zero components."""
    start = len(s) // 2
    if len(s) - start < 3:
        return None
    ranks = np.arange(start + 1, len(s) + 1)
    return float(np.polyfit(np.log(ranks), np.log(s[start:]), 1)[0])
