"""From a token batch to what the compiled step takes: target positions found on the host, rows placed on the mesh."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from jaxtrunc.core.mesh import batch_sharding, place, replicated
from jaxtrunc.data import TrainBatch


class StepBatch(NamedTuple):
    """Arrays of one optimiser step.

    Attributes:
      tokens: (B, T) int32, right padded.
      lengths: (B,) int32.
      positions: (B, M) int32, where in its row each target is predicted; None: at all T positions.
      labels: (B, M) int32, the token to predict there; -1 where there is none. M = T if `positions` is None.
      prefix: (P,) int32, what stands before the tokens of every row; None: nothing.
      numbers: (B,) uint32, a random number of each row for what the loss draws; None: it draws nothing.
      weights: (B, T) float32, of each token in a penalty on states; they sum to the number of targets of the whole batch, as
        the loss is divided by it; None: there is no such penalty.
    """

    tokens: Any
    lengths: Any
    positions: Any
    labels: Any
    prefix: Any = None
    numbers: Any = None
    weights: Any = None


def step_batch(batch: TrainBatch, mesh: Mesh | None = None, *, numbers: np.ndarray | None = None,
               weights: np.ndarray | None = None) -> StepBatch:
    """Keep only the positions that have a target, so that the head is applied to nothing else.

    M is rounded up to a power of two (few compiled shapes); from half the sequence on, all positions are taken. On a mesh
    each process places the rows of its own devices.
    """
    targets = batch.targets
    most = max(1, int((targets >= 0).sum(axis=1).max()))
    width = 1 << (most - 1).bit_length()
    positions, labels = None, targets
    if 2 * width <= targets.shape[1]:
        order = np.argsort(targets < 0, axis=1, kind="stable")[:, :width].astype(np.int32)
        positions, labels = order, np.take_along_axis(targets, order, axis=1)
    prefix = batch.prefix if len(batch.prefix) else None
    found = StepBatch(batch.tokens, batch.lengths, positions, labels, None, numbers, weights)
    if mesh is None:
        return found._replace(prefix=prefix)
    placed = StepBatch(*(x if x is None else place(x, batch_sharding(mesh)) for x in found))
    return placed._replace(prefix=None if prefix is None else place(prefix, replicated(mesh)))


def without_prefix(batch: TrainBatch) -> TrainBatch:
    """The same rows, each with what they all begin with written out."""
    ahead = len(batch.prefix)
    before = np.broadcast_to(batch.prefix, (len(batch.tokens), ahead))
    return dataclasses.replace(batch, tokens=np.concatenate([before, batch.tokens], axis=1), lengths=batch.lengths + ahead,
                               targets=np.pad(batch.targets, ((0, 0), (ahead, 0)), constant_values=-1), prefix=batch.prefix[:0])
