"""Batches for tests of LoRA: rows of tokens below 24 with two targets each, and a little noise for the second factor."""

import jax
import numpy as np

from jaxtrunc.data import Stream, TrainBatch


class RandomStream(Stream):
    """`batches_per_epoch` fixed batches of random tokens, each epoch in another order."""

    def __init__(self, rows: int = 8, batches_per_epoch: int = 4):
        super().__init__(seed=3)
        self.rows, self.batches_per_epoch = rows, batches_per_epoch
        self.seen = []

    def _plan(self, rng: np.random.Generator) -> list:
        return list(rng.permutation(self.batches_per_epoch))

    def _batch(self, entry: int) -> TrainBatch:
        self.seen.append(int(entry))
        return make_batch(int(entry), self.rows)


def make_batch(seed: int, rows: int = 8, length: int = 12) -> TrainBatch:
    """Rows of 5 to 12 tokens; the last two positions have targets."""
    random = np.random.default_rng(seed)
    lengths = random.integers(5, length + 1, rows).astype(np.int32)
    tokens = random.integers(0, 24, (rows, length)).astype(np.int32)
    targets = np.full_like(tokens, -1)
    for row, end in enumerate(lengths):
        tokens[row, end:] = 0
        targets[row, end - 2:end] = random.integers(0, 24, 2)
    return TrainBatch(tokens, lengths, targets, tuple(map(str, range(rows))))


def noisy(factors: dict, seed: int = 5) -> dict:
    """The factors with a second one that is not zero, as after training."""
    random = np.random.default_rng(seed)
    return {path: jax.numpy.asarray(random.normal(0, 0.1, leaf.shape), leaf.dtype) if path.endswith("lora_b") else leaf
            for path, leaf in factors.items()}
