"""The noise edge of an update without assuming equal variances: its entries with random signs."""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.sparse.linalg import svds

from jaxtrunc.spectral.draws import generator_for

DRAWS = 20
TOLERANCE = 1e-2
"""Of ARPACK; the value itself is then good to 1e-4 or better."""


def signflip_edge(tall: Float[np.ndarray, "long r"], name: str, draws: int = DRAWS) -> float:
    """95th percentile over `draws` of s₁(ε∘ΔW), ε iid ±1, which keeps the variances of rows and columns.

    The signs depend on the name alone.
    """
    generator, tall = generator_for(name, "signs"), np.ascontiguousarray(tall)
    return float(np.percentile([largest(_flipped(tall, generator)) for _ in range(draws)], 95))


def permuted_edge(tall: Float[np.ndarray, "long r"], name: str) -> float:
    """s₁ of ΔW with its entries permuted: the reference for noise with equal variances."""
    return largest(generator_for(name, "permutation").permutation(tall.ravel()).reshape(tall.shape))


def largest(tall: Float[np.ndarray, "long r"]) -> float:
    """The largest singular value to about 1e-4, by Lanczos: a few products with the matrix, no Gram matrix."""
    if min(tall.shape) < 32:  # Lanczos needs room
        return float(np.linalg.norm(tall, 2))
    start = np.ones(tall.shape[1], np.float32)  # so that the same matrix gives the same bits
    tolerance: Any = TOLERANCE  # the stub says int
    return float(np.max(np.asarray(svds(tall, k=1, v0=start, tol=tolerance, return_singular_vectors=False))))


def _flipped(tall: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    bits = np.unpackbits(np.frombuffer(generator.bytes(-(-tall.size // 8)), np.uint8), count=tall.size)
    return tall * (np.int8(1) - 2 * bits.view(np.int8)).reshape(tall.shape)
