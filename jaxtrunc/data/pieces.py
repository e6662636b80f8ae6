"""Documents cut into pieces of one width, for looking at what a model computes on them; nothing is packed across documents."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.batching import pad
from jaxtrunc.data.streams import NO_LOSS, Stream, TrainBatch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def cut(documents: Sequence[str], tokenizer: "PreTrainedTokenizerBase", width: int) -> list[list[int]]:
    """Tokens of each document in pieces of at most `width`, each beginning as the tokenizer begins a text; none of one token."""
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    begin = begin if tokenizer.encode("a")[:1] == begin else []
    room = width - len(begin)
    found = tokenizer(list(documents), add_special_tokens=False, verbose=False)["input_ids"] if documents else []
    pieces = [[*begin, *ids[start:start + room]] for ids in found for start in range(0, len(ids), room)]
    return [piece for piece in pieces if len(piece) > len(begin) + 1]


class PieceStream(Stream):
    """Pieces in an order that depends on seed and epoch, right-padded to one width; every token but a piece's first is a target.

    Args:
      pieces: none longer than `width`.
      batch_size: rows per batch; the last batch of an epoch is filled up with rows of length 1 without targets.
    """

    def __init__(self, pieces: Sequence[Sequence[int]], width: int, batch_size: int, seed: int) -> None:
        super().__init__(seed)
        if not pieces:
            raise InputError("the text has no document of two tokens; give more text")
        self.pieces, self.width, self.batch_size = pieces, width, batch_size
        self.batches_per_epoch = -(-len(pieces) // batch_size)

    def _plan(self, rng: np.random.Generator) -> list[np.ndarray]:
        order = rng.permutation(len(self.pieces))
        return [order[start:start + self.batch_size] for start in range(0, len(order), self.batch_size)]

    def _batch(self, entry: np.ndarray) -> TrainBatch:
        rows = [self.pieces[index] for index in entry]
        lengths = np.ones(self.batch_size, np.int32)
        lengths[:len(rows)] = [len(row) for row in rows]
        return TrainBatch(pad(rows, self.batch_size, self.width, 0), lengths,
                          pad([row[1:] for row in rows], self.batch_size, self.width, NO_LOSS),
                          tuple(f"piece-{index}" for index in entry))
