"""The shape of every spectrum: ranks, energy, noise edges, storage floors, overlap with the base."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from jaxtrunc.core.chunks import core_count
from jaxtrunc.core.progress import Advance
from jaxtrunc.spectral import noise
from jaxtrunc.spectral.bf16 import ZERO_SHARE, below_bf16, bf16_floor, holds_bf16
from jaxtrunc.spectral.chains import ladder
from jaxtrunc.spectral.decomposition import Decomposition, MatrixSVD, Spectrum
from jaxtrunc.spectral.intruders import intruder_count
from jaxtrunc.spectral.roundoff import cast_error
from jaxtrunc.spectral.signflip import permuted_edge, signflip_edge
from jaxtrunc.spectral.view import read_matrix

VALID_DISTANCE = 0.1
"""Above this Kolmogorov distance the bulk is not Marchenko–Pastur noise and its edges are not to be used."""


def diagnostics(decomposition: Decomposition, base: Mapping[str, Any], ft: Mapping[str, Any], *, dtype: Any = np.float32,
                workers: int | None = None, advance: Advance | None = None) -> dict[str, dict[str, Any]]:
    """The `spectra` object of results.json: matrix name → diagnostics of its ΔW.

    `shape` is `(out, in)`, as the tensor of that name is stored in a Hugging Face checkpoint. Values that need all
    components are None where a backend computed leading ones only.

    Args:
      dtype: the operand dtype of evaluation, for `roundoff_delta` of the fine-tuned weights.
      advance: called once per matrix.
    """
    def one(svd: MatrixSVD) -> dict[str, Any]:
        found = matrix_diagnostics(svd, base, ft, dtype)
        if advance:
            advance(1, svd.name)
        return found

    with ThreadPoolExecutor(workers or core_count()) as pool:
        return dict(zip(decomposition.matrices, pool.map(one, decomposition.matrices.values()), strict=True))


def matrix_diagnostics(svd: MatrixSVD, base: Mapping[str, Any], ft: Mapping[str, Any], dtype: Any) -> dict[str, Any]:
    """All diagnostics of one matrix."""
    before, after = (read_matrix(leaves[svd.ref.path], svd.ref).astype(np.float32) for leaves in (base, ft))
    update = after - before
    tall = update if svd.side == "out" else update.T
    floor = bf16_floor(after, update)
    shape = svd.shape[::-1] if svd.ref.path.endswith("kernel") else svd.shape
    return {"shape": list(shape)} | spectrum_shape(svd) | noise_edges(svd) | {
        "signflip_edge": signflip_edge(tall, svd.name),
        "permuted_edge": permuted_edge(tall, svd.name),
        "bf16_floor": floor,
        "above_bf16": None if floor is None else int(np.sum(svd.s > floor)),
        "below_bf16": below_bf16(after, update),
        "bf16_source": bool(svd.zero_share > ZERO_SHARE) or holds_bf16(after),
        "zero_share": svd.zero_share,
        "relative_norm": svd.frobenius / float(np.linalg.norm(before)) if before.any() else None,
        "roundoff_delta": cast_error(after, dtype) / svd.frobenius,
        "intruders": intruder_count(before, after),
    }


def spectrum_shape(spectrum: Spectrum) -> dict[str, Any]:
    """Ranks, energies and slope of one spectrum; p_i = s_i²/‖ΔW‖², q_i = s_i/Σs."""
    s = spectrum.s
    p, q = s**2 / (np.sum(s**2) if spectrum.complete else spectrum.frobenius**2), s / s.sum()
    held = np.cumsum(p)
    known = spectrum.complete
    return {
        "rank": spectrum.rank,
        "frobenius": spectrum.frobenius,
        "stable_rank": float(spectrum.frobenius**2 / s[0] ** 2),
        "effective_rank": _exp_entropy(q) if known else None,
        "effective_rank_energy": _exp_entropy(p) if known else None,
        "participation_ratio": float(1 / np.sum(p**2)) if known else None,
        "energy_k": {str(share): _least_k(held, share) for share in (0.5, 0.9, 0.99)},
        "energy_curve": [[k, float(held[k - 1])] for k in (*ladder(len(s))[1:], len(s))],
        "spectrum": _sampled(s),
        "tail_slope": tail_slope(spectrum),
    }


def noise_edges(spectrum: Spectrum) -> dict[str, Any]:
    """Marchenko–Pastur edge, hard threshold, spikes, bulk energy and whether the bulk looks like noise at all."""
    edge, distance = noise.mp_edge(spectrum), noise.bulk_distance(spectrum)
    spikes = None if edge is None else int(np.sum(spectrum.s > noise.EDGE_SLACK * edge))
    return {
        "mp_edge": edge,
        "dg_hard": noise.hard_threshold(spectrum),
        "mp_distance": distance,
        "mp_valid": None if distance is None else distance <= VALID_DISTANCE,
        "spikes": spikes,
        "bulk_energy": None if spikes is None else float(np.sum(spectrum.s[spikes:] ** 2) / np.sum(spectrum.s**2)),
    }


def tail_slope(spectrum: Spectrum) -> float | None:
    """Least-squares slope of ln s_i on ln i over ρ/10 ≤ i ≤ 9ρ/10; None below 20 components."""
    low, high = spectrum.rank // 10, 9 * spectrum.rank // 10
    if not spectrum.complete or spectrum.rank < 20:
        return None
    index = np.arange(low, high)
    return float(np.polyfit(np.log(index + 1), np.log(spectrum.s[index]), 1)[0])


def _exp_entropy(shares: np.ndarray) -> float:
    positive = shares[shares > 0]
    return float(np.exp(-np.sum(positive * np.log(positive))))


def _least_k(held: np.ndarray, share: float) -> int | None:
    """The least k with at least this share of the energy, None beyond the known components."""
    k = int(np.searchsorted(held, share)) + 1
    return k if k <= len(held) else None


def _sampled(s: np.ndarray, points: int = 48) -> dict[str, list]:
    """At most 48 singular values at log-spaced positions (from 1), enough to draw the curve."""
    index = np.unique(np.geomspace(1, len(s), points).round().astype(int))
    return {"index": index.tolist(), "s": s[index - 1].tolist()}
