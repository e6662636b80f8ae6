"""How a 0/1 cut is reached step by step, so that neighbouring levels share work and bits do not depend on the way.

A chain starts from zero or from ΔW and adds or removes components in a fixed order, stopping at fixed rungs. What is
accumulated at a rung depends on the chain alone; a count between rungs branches from the rung below it.
"""

from dataclasses import dataclass

import numpy as np

from jaxtrunc.spectral.decomposition import Spectrum

SMALL_TAIL = 0.1
"""Below this share of ‖ΔW‖_F a remainder is not formed by subtraction: it would lose digits."""


@dataclass(frozen=True, eq=False)
class Chain:
    """Start (zero, or ΔW with components removed), order of the components, rungs, and how many are taken.

    `key` tells chains of one matrix apart: equal keys mean equal start, order and rungs.
    """

    key: tuple[str, int]
    removes: bool
    order: np.ndarray
    rungs: tuple[int, ...]
    count: int

    @property
    def rung(self) -> int:
        """The last rung at or below `count`."""
        return max(rung for rung in self.rungs if rung <= self.count)


def ladder(length: int) -> tuple[int, ...]:
    """0, 1, 2, 4, … below `length`."""
    return 0, *(1 << bit for bit in range(max(length - 1, 0).bit_length()))


def leading_chain(spectrum: Spectrum, gains: np.ndarray, seed: int | None) -> Chain:
    """top_k: from zero, or from ΔW by removing the tail where that is the shorter way."""
    k, r = int(gains.sum()), spectrum.r
    rungs = ladder(r)
    below = max(rung for rung in rungs if rung <= k)
    if spectrum.complete and r - k < k - below:
        return Chain(("top from full", 0), True, np.arange(r)[::-1], (0,), r - k)
    return Chain(("top", 0), False, np.arange(r), rungs, k)


def remainder_chain(spectrum: Spectrum, gains: np.ndarray, seed: int | None) -> Chain:
    """drop_top_k: ΔW without its head, or the tail's own components where they are few or hold little energy."""
    r = spectrum.r
    k = r - int(gains.sum())
    if k <= r - k and spectrum.norm(gains) >= SMALL_TAIL * spectrum.norm(np.ones(r)):
        return Chain(("drop", 0), True, np.arange(r), ladder(r), k)
    rungs = tuple(sorted({0, *(r - rung for rung in ladder(r))}))
    return Chain(("tail", 0), False, np.arange(r)[::-1], rungs, r - k)


def trailing_chain(spectrum: Spectrum, gains: np.ndarray, seed: int | None) -> Chain:
    """bottom_k: upward from its own components, never by subtraction."""
    return Chain(("bottom", 0), False, np.arange(spectrum.rank)[::-1], ladder(spectrum.rank), int(gains.sum()))
