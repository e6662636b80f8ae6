"""Small data for training autoencoders, and a run without files."""

import tempfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxtrunc.sae.sae import SAE
from jaxtrunc.sae.synthetic import ConceptBatches, Concepts, spread_directions
from jaxtrunc.sae.training.buffer import ShuffledBuffer
from jaxtrunc.sae.training.loop import train_sae
from jaxtrunc.sae.training.settings import SAETraining
from jaxtrunc.sae.training.state import SAEState, first_state
from jaxtrunc.sae.training.step import Measured, train_step


class Gaussian:
    """Chunks of 16 rows whose mean, scale and spread are far from 0 and 1; position alone is their state."""

    def __init__(self, d: int = 8, seed: int = 0):
        self.d, self.seed, self.state = d, seed, 0
        self.map = np.random.default_rng(seed).standard_normal((d, d))

    def restore(self, state: int) -> None:
        self.state = state

    def __next__(self) -> np.ndarray:
        self.state += 1
        rows = np.random.default_rng([self.seed, self.state]).standard_normal((16, self.d))
        return (5 * (rows @ self.map + 2)).astype(np.float32)


def concept_data(seed: int, settings: SAETraining, d: int = 32, count: int = 48) -> tuple[Concepts, ShuffledBuffer]:
    """A world of concepts, r = 4, and batches from it."""
    concepts = Concepts(spread_directions(d, count, seed), 4)
    return concepts, ShuffledBuffer(ConceptBatches(concepts, settings.batch, seed), d=d, batch=settings.batch,
                                    batches=settings.buffer_batches, seed=seed)


def trained(settings: SAETraining, buffer: ShuffledBuffer, change=lambda state: state,
            watch=lambda state: None) -> tuple[SAEState, Measured]:
    """All steps, from a first state that `change` may alter; `watch` sees each state."""
    state = change(first_state(settings, *buffer.moments(), None))
    for _ in range(settings.steps):
        state, measured = train_step(state, jnp.asarray(next(buffer)), settings, None)
        watch(state)
    return state, measured


def trained_on_concepts(kind: str, **settings) -> tuple[Concepts, SAE]:
    """48 concepts in 32 dimensions, 96 latents, 3,000 steps of 512."""
    settings = SAETraining(**{"kind": kind, "n": 96, "steps": 3000, "batch": 512, "dead_tokens": 50_000, "checkpoint_every": 3000,
                              **settings})
    concepts = Concepts(spread_directions(32, 48, 0), 4)
    with tempfile.TemporaryDirectory() as folder:
        return concepts, train_sae(ConceptBatches(concepts, 512, 0), settings, Path(folder), d=32)
