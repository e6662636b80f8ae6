"""The rows of an epoch, divided over devices and processes: each exactly once, and nothing of the filler is learned."""

import numpy as np
import pytest

from jaxtrunc.core.mesh import compute_mesh
from jaxtrunc.data import Stream, TrainBatch
from jaxtrunc.train.batches import step_batch

ROWS, BATCH = 37, 16


class Numbered(Stream):
    """Row i predicts token i once; the last batch of an epoch is filled up with rows without loss, as `TrainStream` does."""

    batches_per_epoch = -(-ROWS // BATCH)

    def _plan(self, rng):
        return np.split(rng.permutation(ROWS), range(BATCH, ROWS, BATCH))

    def _batch(self, entry):
        targets = np.full((BATCH, 8), -1, np.int32)
        targets[:len(entry), 3] = entry
        return TrainBatch(np.zeros((BATCH, 8), np.int32), np.ones(BATCH, np.int32), targets, tuple(map(str, entry)))


def stream() -> Stream:
    return Numbered(seed=3)


def placed_rows(stream: Stream, mesh) -> list[int]:
    """What the devices of this process learn in one epoch; a row that several of them hold (over `tensor`) counts once."""
    found = []
    for _ in range(stream.batches_per_epoch):
        shards = step_batch(next(stream), mesh).labels.addressable_shards
        parts = {shard.index[0].start or 0: np.asarray(shard.data) for shard in shards}
        found += [int(label) for part in parts.values() for label in part.ravel() if label >= 0]
    return found


@pytest.mark.parametrize("shape", [(8, 1, 1), (2, 2, 2), (1, 1, 8)])
def test_every_row_of_an_epoch_is_placed_once(shape):
    rows = stream()
    for _ in range(2):
        assert sorted(placed_rows(rows, compute_mesh(*shape))) == list(range(ROWS))
