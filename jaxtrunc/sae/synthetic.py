"""Activations whose concepts are known: h = Ws + ξ with sparse non-negative s, some concepts more frequent in one class.

The stage on which SAE training, selection and recovery are judged, for there the true directions are given.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32

SPREADING, RATE = 500, 0.1


def spread_directions(d: int, count: int, seed: int) -> Float[np.ndarray, "d N"]:
    """Unit columns, random and then pushed apart: with X = Wᵀ, 500 steps X ← rownorm(X − 0.1·(G∘G∘G)X), G = XXᵀ, zero diagonal."""
    x = _unit_rows(np.random.default_rng(seed).standard_normal((count, d)))
    for _ in range(SPREADING):
        gram = x @ x.T
        np.fill_diagonal(gram, 0)
        x = _unit_rows(x - RATE * gram**3 @ x)
    return x.T


@dataclass(frozen=True, eq=False)
class Concepts:
    """A world of concepts; the first r are T, the ones whose frequency differs between the classes.

    Attributes:
      w: direction of each concept, unit columns.
      r: size of T.
      rate: how often a concept is active.
      target_rate: how often one of T is in the aligned class.
      magnitudes: an active concept is uniform between these.
      noise: standard deviation of ξ in every coordinate.
    """

    w: Float[np.ndarray, "d N"]
    r: int
    rate: float = 0.06
    target_rate: float = 0.35
    magnitudes: tuple[float, float] = (0.5, 1.5)
    noise: float = 0.01

    @property
    def target(self) -> Float[np.ndarray, "d r"]:
        """W_T: what is to be recovered."""
        return self.w[:, : self.r]

    @property
    def mean_difference(self) -> Float[np.ndarray, " d"]:
        """Aligned minus unaligned mean of h in population."""
        return self.target.sum(axis=1) * (self.target_rate - self.rate) * sum(self.magnitudes) / 2

    def activity(self, aligned: Bool[np.ndarray, " B"], rng: np.random.Generator) -> Float[np.ndarray, "B N"]:
        """s of one row each, of the class that `aligned` says."""
        rates = np.full((2, self.w.shape[1]), self.rate)
        rates[1, : self.r] = self.target_rate
        active = rng.random((len(aligned), self.w.shape[1])) < rates[np.asarray(aligned, np.int64)]
        return np.where(active, rng.uniform(*self.magnitudes, active.shape), 0)

    def sample(self, aligned: Bool[np.ndarray, " B"], rng: np.random.Generator) -> Float32[np.ndarray, "B d"]:
        """h = Ws + ξ of one row each."""
        noise = self.noise * rng.standard_normal((len(aligned), self.w.shape[0]))
        return (self.activity(aligned, rng) @ self.w.T + noise).astype(np.float32)


class ConceptBatches:
    """Endless batches, half of each class, that depend on seed and position alone; `state` and `restore` as of other streams."""

    def __init__(self, concepts: Concepts, batch: int, seed: int) -> None:
        self.concepts, self.batch, self.seed, self.position = concepts, batch, seed, 0

    def __iter__(self) -> "ConceptBatches":
        return self

    def __next__(self) -> Float32[np.ndarray, "B d"]:
        rng = np.random.default_rng([self.seed, self.position])
        self.position += 1
        return self.concepts.sample(half_aligned(self.batch), rng)

    @property
    def state(self) -> int:
        """Batches given so far."""
        return self.position

    def restore(self, state: int) -> None:
        """Continue as if `state` batches had been given."""
        self.position = state


def half_aligned(count: int) -> Bool[np.ndarray, " B"]:
    """Every second row is aligned."""
    return np.arange(count) % 2 == 0


def _unit_rows(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)
