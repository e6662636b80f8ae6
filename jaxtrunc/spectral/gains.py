"""Gain functions: every cut is a vector g in [0, ∞)^r with ΔW(g) = U diag(g ⊙ s) Vᵀ, and nothing but g.

The operators of Sun and Troitskii (arXiv 2606.07596) are top_k, bottom_k and random_k.
A k at or above the numerical rank ρ means all of the update, whatever lies below storage noise included.
"""

import hashlib

import numpy as np
from jaxtyping import Float

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral.decomposition import Spectrum
from jaxtrunc.spectral.noise import EDGE_SLACK, hard_threshold, mp_edge

Gains = Float[np.ndarray, " r"]


def top_k(spectrum: Spectrum, k: int) -> Gains:
    """The k largest components."""
    return _chosen(spectrum, k, slice(0, k))


def bottom_k(spectrum: Spectrum, k: int) -> Gains:
    """The k smallest of the ρ numerically non-zero components."""
    return _chosen(spectrum, k, slice(max(spectrum.rank - k, 0), spectrum.rank))


def drop_top_k(spectrum: Spectrum, k: int) -> Gains:
    """All but the k largest components."""
    return 1 - top_k(spectrum, k)


def random_k(spectrum: Spectrum, k: int, seed: int) -> Gains:
    """The first k of one seeded permutation of the ρ components: uniform, and nested across k."""
    return _chosen(spectrum, k, permutation(spectrum, seed)[:k])


def energy(spectrum: Spectrum, tau: float) -> Gains:
    """The fewest leading components with Σs² ≥ τ‖ΔW‖²."""
    held = np.cumsum(spectrum.s**2)
    total = held[-1] if spectrum.complete else spectrum.frobenius**2
    k = int(np.searchsorted(held, tau * total)) + 1 if tau > 0 else 0
    if k > len(spectrum.s) and not spectrum.complete:
        raise _too_few(spectrum, f"energy {tau}")
    return top_k(spectrum, min(k, spectrum.r))


def ratio(spectrum: Spectrum, rho: float) -> Gains:
    """The components with s_i ≥ ρ s₁."""
    k = int(np.sum(spectrum.s >= rho * spectrum.s[0]))
    if k == len(spectrum.s) and not spectrum.complete:
        raise _too_few(spectrum, f"ratio {rho}")
    return top_k(spectrum, k)


def above_mp_edge(spectrum: Spectrum) -> Gains:
    """The components above the Marchenko–Pastur bulk edge, with 2 % slack for finite noise that pokes out."""
    return _above(spectrum, "mp_edge", mp_edge(spectrum), EDGE_SLACK)


def above_hard_threshold(spectrum: Spectrum) -> Gains:
    """The components above the optimal hard threshold (Gavish and Donoho 2014, unknown noise)."""
    return _above(spectrum, "dg_hard", hard_threshold(spectrum), 1.0)


def flatten_k(spectrum: Spectrum, k: int) -> Gains:
    """√(mean_{j≤k'} s_j²)/s_i for i ≤ k' = min(k, ρ): directions and energy stay, the order of magnitudes goes."""
    gains, kept = np.zeros(spectrum.r), min(k, spectrum.rank)
    if kept:
        require(spectrum, kept)
        s = spectrum.s[:kept]
        gains[:kept] = np.sqrt(np.mean(s**2)) / s
    return gains


def interpolate(spectrum: Spectrum, alpha: float) -> Gains:
    """α for every component: no look at the spectrum at all."""
    return np.full(spectrum.r, float(alpha))


def whole(spectrum: Spectrum, share: float) -> Gains:
    """All of the update, and nothing of it for share 0: `sparsify` chooses among its entries."""
    return np.full(spectrum.r, float(share > 0))


def permutation(spectrum: Spectrum, seed: int) -> np.ndarray:
    """A permutation of 0 … ρ−1 that depends on the seed and the matrix name alone, not on k or the order of the tree."""
    digest = hashlib.sha256(spectrum.name.encode()).digest()
    generator = np.random.Philox(np.random.SeedSequence([seed, *np.frombuffer(digest, "<u4").tolist()]))
    return np.argsort(generator.random_raw(spectrum.rank), kind="stable")


def require(spectrum: Spectrum, k: int) -> None:
    """Raise `InputError` if the backend did not compute k components."""
    if k > len(spectrum.s):
        raise _too_few(spectrum, f"k = {k}")


def _chosen(spectrum: Spectrum, k: int, kept: slice | np.ndarray) -> Gains:
    gains = np.zeros(spectrum.r)
    if k <= 0:
        return gains
    if k >= spectrum.rank:
        return np.ones(spectrum.r)
    require(spectrum, k)
    gains[kept] = 1.0
    return gains


def _above(spectrum: Spectrum, operator: str, edge: float | None, slack: float) -> Gains:
    if edge is None:
        raise InputError(f"{operator}: {spectrum.name} has numerical rank {spectrum.rank} of {spectrum.r}; below one half "
                         "there is no noise bulk to fit. Leave it out with -e or use another operator")
    return top_k(spectrum, int(np.sum(spectrum.s > slack * edge)))


def _too_few(spectrum: Spectrum, asked: str) -> InputError:
    return InputError(f"{spectrum.name}: {asked} needs more than the {len(spectrum.s)} leading components that were computed; "
                      "decompose with --backend gram64 and without a smaller --leading")
