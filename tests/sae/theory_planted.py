"""Sweeps that need no training: decoder rows moved by ν, activations mixed by ε, in worlds where everything else is exact."""

import math
from typing import Any

import numpy as np

from jaxtrunc.sae.baselines import cov_diff, pca_diff, raw_direction
from jaxtrunc.sae.recovery import recovery_error
from jaxtrunc.sae.subspace import subspace
from jaxtrunc.sae.synthetic import Concepts, half_aligned, spread_directions
from jaxtrunc.sae.theory import Monosemanticity, error_bound, sharper_bound

D, COUNT, R, ROWS, DRAWS = 64, 128, 4, 20_000, 30
MOVES = np.linspace(0.02, 0.95, 32)
"""√r·ν/σ₀: at 1 nothing is promised any more."""
MIXING = np.linspace(0.0, 1.6, 33)


class Planted:
    """One world, its class differences, and what the raw baselines make of it."""

    def __init__(self, seed: int = 0) -> None:
        self.world = Concepts(spread_directions(D, COUNT, seed), R)
        aligned = half_aligned(ROWS)
        rng = np.random.default_rng([seed, 1])
        s = self.world.activity(aligned, rng)
        self.difference = s[aligned].mean(axis=0) - s[~aligned].mean(axis=0)
        h = (s @ self.world.w.T + self.world.noise * rng.standard_normal((ROWS, D))).astype(np.float32)
        target, halves = self.world.target, (h[aligned], h[~aligned])
        self.sigma_0 = float(np.linalg.svd(target, compute_uv=False)[-1])
        self.raw = {"one": recovery_error(raw_direction(*halves), target),
                    "pca_diff": recovery_error(pca_diff(*halves, R, seed), target),
                    "cov_diff": recovery_error(cov_diff(*halves, R), target)}

    def moved(self) -> list[dict[str, Any]]:
        """E of exactly the right rows, each ν from its direction: at random, and all of them one way, where that hurts most."""
        rng, target, found = np.random.default_rng(2), self.world.target, []
        for relative in MOVES:
            nu = relative * self.sigma_0 / math.sqrt(R)
            errors = [_error(target + nu * _unit(rng.standard_normal((D, R))), target) for _ in range(DRAWS)]
            aimed = _error(target + nu * self._worst(rng), target)
            found.append({"x": float(relative), "random": float(np.median(errors)), "worst": aimed,
                          "bound": error_bound(R, nu, self.sigma_0), "sharper": sharper_bound(R, nu, self.sigma_0)})
        return found

    def mixed(self, relative: float = 0.1) -> list[dict[str, Any]]:
        """E of the r features of largest Δ, when the activations are Ms: M random, or aimed at the weakest of T."""
        rng = np.random.default_rng(3)
        rows = (self.world.w + relative * self.sigma_0 / math.sqrt(R) * _unit(rng.standard_normal((D, COUNT)))).T
        return [{"x": float(epsilon), **{name: self._selected(rows, [draw() for _ in range(count)], epsilon)
                                  for name, draw, count in (("random", lambda: rng.standard_normal((COUNT, COUNT)), DRAWS),
                                                            ("worst", self._aimed, 1))}} for epsilon in MIXING]

    @property
    def margin(self) -> float:
        """The largest ε for which the theory still promises exact selection."""
        delta = np.abs(self.difference[:R])
        found = [epsilon for epsilon in np.linspace(0, 1, 1001)
                 if Monosemanticity(R, float(epsilon), float(delta.min()), float(delta.max())).separable]
        return float(found[-1])

    def _selected(self, rows: np.ndarray, mixings: list[np.ndarray], epsilon: float) -> float:
        errors = []
        for off in mixings:
            np.fill_diagonal(off, 0)
            longest = max(np.linalg.norm(off, axis=0).max(), np.linalg.norm(off, axis=1).max())
            delta = np.abs(self.difference + epsilon / math.sqrt(R) / longest * (off @ self.difference))
            chosen = np.argsort(-delta, kind="stable")[:R]
            errors.append(recovery_error(subspace(rows[chosen], delta[chosen], R).u, self.world.target))
        return float(np.mean(errors))

    def _aimed(self) -> np.ndarray:
        """One feature outside T collects all of T, and the weakest of T is pushed down by the others."""
        off, delta = np.zeros((COUNT, COUNT)), self.difference[:R]
        weakest = int(np.argmin(delta))
        others = np.where(np.arange(R) == weakest, 0, delta)
        off[R, :R] = delta / np.linalg.norm(delta)
        off[weakest, :R] = -others / np.linalg.norm(others)
        return off

    def _worst(self, rng: np.random.Generator) -> np.ndarray:
        target = self.world.target
        weakest = np.linalg.svd(target)[2][-1]
        out = np.linalg.qr(np.column_stack([target, rng.standard_normal(D)]))[0][:, -1:]
        return out * np.sign(weakest)


def _error(columns: np.ndarray, target: np.ndarray) -> float:
    return recovery_error(subspace(columns.T, rank=R).u, target)


def _unit(columns: np.ndarray) -> np.ndarray:
    return columns / np.linalg.norm(columns, axis=0)
