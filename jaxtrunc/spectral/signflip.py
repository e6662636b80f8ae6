"""The noise edge of an update without assuming equal variances: its entries with random signs."""

import hashlib

import numpy as np
from jaxtyping import Float
from scipy.sparse.linalg import eigsh

DRAWS = 20


def signflip_edge(tall: Float[np.ndarray, "long r"], name: str, draws: int = DRAWS) -> float:
    """95th percentile over `draws` of s₁(ε∘ΔW), ε iid ±1, which keeps the variances of rows and columns.

    The largest singular values come from float32 Gram matrices and Lanczos, to about 1e-3; the signs depend on the name.
    """
    generator = generator_for(name, "signs")
    return float(np.percentile([largest(_flipped(tall, generator)) for _ in range(draws)], 95))


def permuted_edge(tall: Float[np.ndarray, "long r"], name: str) -> float:
    """s₁ of ΔW with its entries permuted: the reference for noise with equal variances."""
    return largest(generator_for(name, "permutation").permutation(tall.ravel()).reshape(tall.shape))


def largest(tall: Float[np.ndarray, "long r"]) -> float:
    """The largest singular value."""
    gram = tall.T @ tall
    if len(gram) < 32:  # Lanczos needs room
        return float(np.linalg.norm(tall, 2))
    start = np.ones(len(gram), np.float32)  # so that the same matrix gives the same bits
    return float(np.sqrt(eigsh(gram, k=1, which="LA", v0=start, tol=1e-4,  # pyright: ignore[reportArgumentType]: the stub says int
                               return_eigenvectors=False)[0]))


def generator_for(name: str, purpose: str) -> np.random.Generator:
    """A generator that depends on the matrix name and the purpose alone."""
    digest = hashlib.sha256(f"{purpose}:{name}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, "<u4"))


def _flipped(tall: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    bits = np.unpackbits(np.frombuffer(generator.bytes(-(-tall.size // 8)), np.uint8), count=tall.size)
    signs = bits.reshape(tall.shape).astype(np.uint32) << np.uint32(31)
    return (np.ascontiguousarray(tall).view(np.uint32) ^ signs).view(np.float32)
