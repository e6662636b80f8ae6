"""From a subspace to the factors an adapter begins with, and how much of an update lies in it.

y = xK + s·(xA)B with K (in, out), A (in, r), B (r, out), s = lora_alpha / r: the paper's B is our Bᵀ (arXiv 2512.23260).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxtrunc.core.errors import InputError
from jaxtrunc.sae.bases import orthonormal
from jaxtrunc.sae.recovery import energy_outside

SMALL_GAIN = 0.01  # of the median: what the norm all but silences cannot be reached by writing more of it
DEPENDENT = 1e-5


class Divided(NamedTuple):
    """A basis in front of a norm's gain, and the channels whose gain was too small to divide by."""

    basis: Float[np.ndarray, "d r"]
    zeroed: int


def initial_b(basis: Float[np.ndarray, "d r"], init_scale: float) -> Float[np.ndarray, "r d"]:
    """B = init_scale · Uᵀ, float32."""
    return np.ascontiguousarray(np.float32(init_scale) * np.asarray(basis, np.float32).T)


def divide_by_gain(basis: Float[np.ndarray, "d r"], gain: Float[np.ndarray, " d"]) -> Divided:
    """What has to be written before a norm with this gain for U to come out behind it: rows of U over the gain, then QR.

    Rows with |gain| below 0.01 of its median become zero.

    Raises:
      InputError: what is left has fewer independent columns than U.
    """
    gain = np.asarray(gain, np.float64)
    silent = np.abs(gain) < SMALL_GAIN * np.median(np.abs(gain))
    rows = np.where(silent[:, None], 0.0, np.asarray(basis, np.float64) / np.where(silent, 1.0, gain)[:, None])
    values = np.linalg.svd(rows, compute_uv=False)
    usable = int((values > DEPENDENT * values[0]).sum()) if values[0] else 0
    if usable < basis.shape[1]:
        raise InputError(f"postnorm divide: {int(silent.sum())} channels with hardly any gain leave {usable} of the subspace's "
                         f"{basis.shape[1]} directions; take a rank of at most {usable}, or postnorm ignore")
    return Divided(orthonormal(rows), int(silent.sum()))


def update_size(a: Float[np.ndarray, "i r"], b: Float[np.ndarray, "r o"]) -> float:
    """‖AB‖_F without forming AB, in float64."""
    return float(np.linalg.norm(_rows(a, b)))


def share_outside(a: Float[np.ndarray, "i r"], b: Float[np.ndarray, "r o"], u: Float[np.ndarray, "o q"]) -> float:
    """The share of ‖AB‖² whose output lies outside span(U), in [0, 1]."""
    return energy_outside(_rows(a, b), u)


def _rows(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """R·B of A = QR: r rows with the norm, and the energy inside every subspace, of AB."""
    return np.linalg.qr(np.asarray(a, np.float64), mode="r") @ np.asarray(b, np.float64)
