"""Responses of both classes as batches of tokens, with the places in them where activations count."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from jaxtrunc.data.batching import FILLER, TokenBatch, bucket_batches
from jaxtrunc.data.conversations import Conversation, encode
from jaxtrunc.recipes.sae.base import Base


@dataclass(frozen=True)
class PairBatch:
    """Some responses.

    Attributes:
      rows: which responses they are; fillers stand at the end and are not among them.
      mask: (B, T) response tokens, special ones left out.
      aligned: (B,) the class of each; false in a filler.
    """

    tokens: np.ndarray
    lengths: np.ndarray
    rows: np.ndarray
    mask: np.ndarray
    aligned: np.ndarray


class Pairs:
    """All responses, shortest first.

    Attributes:
      sequences: the tokens of each, prompt and response.
    """

    def __init__(self, base: Base, rows: Sequence[Conversation], origin: str, max_tokens: int, batch_size: int):
        encoded = encode(base.chat, rows, origin, max_tokens)
        self._base = base
        self.sequences = [[*row.prompt, *row.answer] for row in encoded]
        self._starts = np.array([len(row.prompt) for row in encoded])
        self._aligned = np.array([bool(row.aligned) for row in rows])
        self._batches = bucket_batches(self.sequences, base.rows(batch_size))

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[PairBatch]:
        return (self._batch(batch) for batch in self._batches)

    @property
    def labels(self) -> np.ndarray:
        """(examples,) the class of each, in the order in which they come."""
        rows = np.concatenate([batch.rows for batch in self._batches])
        return self._aligned[rows[rows != FILLER]]

    def _batch(self, batch: TokenBatch) -> PairBatch:
        real = batch.rows != FILLER
        starts = np.where(real, self._starts[batch.rows], batch.tokens.shape[1])
        answered = np.arange(batch.tokens.shape[1]) >= starts[:, None]
        return PairBatch(batch.tokens, batch.lengths, batch.rows[real], answered & self._base.counts(batch.tokens, batch.lengths),
                         real & self._aligned[batch.rows])
