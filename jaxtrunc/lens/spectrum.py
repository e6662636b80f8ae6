"""What the singular values of a head say by themselves."""

from typing import Any

import numpy as np

SHARES = (0.5, 0.9, 0.99)


def spectrum(sigma: np.ndarray) -> dict[str, Any]:
    """Statistics of descending singular values, not all zero.

    stable_rank: ‖W‖_F²/σ₁². effective_rank: exp(−Σ p ln p), p = σ²/Σσ² (Roy and Vetterli 2007). energy_k: the least number of
    components with that share of Σσ². gap_ratios: (σ_i − σ_{i+1})/σ_i, 0 where σ_i is.
    """
    energy = sigma**2 / np.sum(sigma**2)
    cumulative = np.cumsum(energy)
    positive = energy[energy > 0]
    gaps = np.divide(sigma[:-1] - sigma[1:], sigma[:-1], out=np.zeros(len(sigma) - 1), where=sigma[:-1] > 0)
    return {
        "sigma": sigma, "cumulative_energy": cumulative, "gap_ratios": gaps,
        "stable_rank": 1 / energy[0], "effective_rank": float(np.exp(-np.sum(positive * np.log(positive)))),
        "energy_k": {str(share): min(int(np.searchsorted(cumulative, share)) + 1, len(sigma)) for share in SHARES},
    }  # fmt: skip


def centred_sigma(sigma: np.ndarray, v: np.ndarray, mean: np.ndarray, count: int) -> np.ndarray:
    """Singular values of W minus its mean row, from those of W `(count, d)`: its Gram matrix loses count·μμᵀ."""
    along = v.T @ mean
    squares = np.linalg.eigvalsh(np.diag(sigma**2) - count * np.outer(along, along))
    return np.sqrt(np.maximum(squares[::-1], 0.0))
