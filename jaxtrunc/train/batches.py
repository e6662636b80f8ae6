"""From a token batch to what the compiled step takes: target positions found on the host, rows placed on the mesh."""

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
    """

    tokens: Any
    lengths: Any
    positions: Any
    labels: Any
    prefix: Any = None


def step_batch(batch: TrainBatch, mesh: Mesh | None = None) -> StepBatch:
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
    rows, prefix = (batch.tokens, batch.lengths, positions, labels), batch.prefix if len(batch.prefix) else None
    if mesh is None:
        return StepBatch(*rows, prefix)
    placed = (x if x is None else place(x, batch_sharding(mesh)) for x in rows)
    return StepBatch(*placed, prefix=None if prefix is None else place(prefix, replicated(mesh)))
