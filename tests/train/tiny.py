"""What tests and killed child processes train: a tiny decoder on rows `… a b c SEP`, whose answer is `c`, END."""

import time

import numpy as np

from jaxtrunc.data import Stream, TrainBatch
from jaxtrunc.models import DecoderConfig, RopeConfig

CONFIG = DecoderConfig(family="qwen2", vocab_size=24, hidden_size=16, intermediate_size=32, num_layers=2, num_heads=2,
                       num_kv_heads=1, head_dim=8, max_positions=64, rms_norm_eps=1e-6, rope=RopeConfig(theta=1e4),
                       tie_embeddings=True, qkv_bias=True)
SEPARATOR, END = 20, 21


class CopyStream(Stream):
    """The same batches each epoch in another order; `delay` seconds per batch; `dense`: a loss on every token.

    `prefix`: so many tokens stand before every row.
    """

    def __init__(self, rows: int = 8, length: int = 16, batches_per_epoch: int = 10, delay: float = 0.0,
                 dense: bool = False, prefix: int = 0):
        super().__init__(seed=7)
        self.rows, self.length, self.batches_per_epoch = rows, length, batches_per_epoch
        self.delay, self.dense = delay, dense
        self.prefix = np.random.default_rng(3).integers(0, 4, prefix).astype(np.int32)

    def _plan(self, rng: np.random.Generator) -> list:
        return list(rng.permutation(self.batches_per_epoch))

    def _batch(self, entry: int) -> TrainBatch:
        time.sleep(self.delay)
        random = np.random.default_rng([7, entry])
        lengths = random.integers(6, self.length + 1, self.rows).astype(np.int32)
        tokens = random.integers(0, 4, (self.rows, self.length)).astype(np.int32)
        targets = np.full_like(tokens, -1)
        for row, length in enumerate(lengths):
            tokens[row, length - 2:length] = SEPARATOR, tokens[row, length - 3]
            tokens[row, length:] = 0
            targets[row, length - 2:length] = tokens[row, length - 3], END
        if self.dense:
            targets[:, :-1] = np.where(np.arange(1, self.length) < lengths[:, None], tokens[:, 1:], -1)
        ids = tuple(f"batch{self.position}-row{row}" for row in range(self.rows))
        return TrainBatch(tokens, lengths, targets, ids, self.prefix)
