"""Controls that are no gains: what is done to the entries of ΔW(g), whatever its singular vectors.

Draws depend on seed, operator and matrix name alone: never on k or the share, so they are nested along a curve.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxtrunc.spectral.decomposition import Spectrum
from jaxtrunc.spectral.draws import generator_for

Update = Float[np.ndarray, "m n"]
GRID = 1 << 32
"""A share is rounded to a multiple of 1/GRID."""


@dataclass(frozen=True, eq=False)
class Perturbation:
    """The last step of one matrix at one level.

    Attributes:
      apply: ΔW(g) → D, both float32 `(m, n)`; gives a new array.
      removed, kept: ‖ΔW − D‖_F and ‖D‖_F, root mean squares over draws.
    """

    apply: Callable[[Update], Update]
    removed: float
    kept: float


def sparsify(spectrum: Spectrum, gains: np.ndarray, share: float | None, seed: int) -> Perturbation | None:
    """Each entry of ΔW is kept with probability `share`, times 1/share, so that the mean over draws is ΔW.

    DARE (Yu et al. 2024, arXiv 2311.03099, whose p is the share dropped). None at shares 0 and 1, the end points.
    """
    if not share or share == 1:
        return None
    return Perturbation(functools.partial(_thinned, name=spectrum.name, share=share, seed=seed),
                        removed=spectrum.frobenius * (1 / share - 1) ** 0.5, kept=spectrum.frobenius / share**0.5)


def add_noise(spectrum: Spectrum, gains: np.ndarray, fraction: float | None, seed: int) -> Perturbation | None:
    """Gaussian noise with the Frobenius norm of what the gains 0 or 1 removed; None where they removed nothing."""
    tail = spectrum.norm(1 - gains)
    if tail == 0:
        return None
    return Perturbation(functools.partial(_noised, name=spectrum.name, norm=tail, seed=seed),
                        removed=2**0.5 * tail, kept=float(np.hypot(spectrum.norm(gains), tail)))


def _thinned(update: Update, *, name: str, share: float, seed: int) -> Update:
    draws = generator_for(name, f"sparsify {seed}").integers(GRID, size=update.shape, dtype=np.uint32)
    kept = draws < np.uint32(min(round(share * GRID), GRID - 1))
    return update * (kept * np.float32(1 / share))


def _noised(update: Update, *, name: str, norm: float, seed: int) -> Update:
    noise = generator_for(name, f"noise {seed}").standard_normal(update.shape, dtype=np.float32)
    noise *= np.float32(norm / float(np.sum(noise * noise, dtype=np.float64)) ** 0.5)
    return np.add(update, noise, out=noise)
