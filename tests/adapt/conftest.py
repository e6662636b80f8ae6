"""Tiny models with and without norms behind their output projections, and subspaces of their streams."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxtrunc.core.trees import flatten
from jaxtrunc.models import DecoderConfig, head_logits, hidden_states, load_params, open_model
from jaxtrunc.sae.bases import orthonormal
from jaxtrunc.train.adapt_settings import AdaptSettings
from jaxtrunc.train.subspace_start import subspace_start

GOLDEN = Path(__file__).parent.parent / "models" / "golden"
RANK = 4


@dataclass(frozen=True)
class Tiny:
    """A base model on disk and in memory."""

    folder: Path
    source: Any
    cfg: DecoderConfig
    params: dict

    def u(self, seed: int = 0, rank: int = RANK) -> np.ndarray:
        """A random orthonormal basis (D, rank)."""
        return orthonormal(np.random.default_rng(seed).normal(size=(self.cfg.hidden_size, rank)))

    def begin(self, subspaces, seed=0, **settings):
        """`subspace_start` with rank 4 and no dropout unless it is said otherwise."""
        return subspace_start(self.params, self.cfg, subspaces, AdaptSettings(**{"rank": RANK, "dropout": 0.0} | settings), seed)

    def tree(self, factors) -> dict:
        """Base and factors in one tree."""
        from jaxtrunc.core.trees import unflatten

        return unflatten(flatten(self.params) | dict(factors))

    def logits(self, params, batch) -> np.ndarray:
        """Float32 (B, T, V)."""
        return np.asarray(head_logits(params, self.cfg, hidden_states(params, self.cfg, batch.tokens, batch.lengths)))


def tiny(name: str) -> Tiny:
    """One of the committed models."""
    source = open_model(GOLDEN / name)
    return Tiny(GOLDEN / name, source, source.cfg, load_params(source.leaves()))


@pytest.fixture(scope="session")
def llama() -> Tiny:
    return tiny("llama")


@pytest.fixture(scope="session")
def gemma() -> Tiny:
    return tiny("gemma2")


@pytest.fixture(scope="session", autouse=True)
def compiled_once(compilation_cache):
    """Several tests compile the same step."""
