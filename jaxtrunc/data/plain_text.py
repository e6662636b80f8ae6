"""Plain text for pre-training: files become one long row of tokens, cut into windows."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int32

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.sources.files import read_rows
from jaxtrunc.data.sources.text import text_blocks
from jaxtrunc.data.streams import Stream, TrainBatch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TextStream(Stream[TrainBatch]):
    """Windows of a long row of tokens in a shuffled order; every position has a loss.

    Args:
      tokens: the whole text, documents separated by the end-of-text token.
      window: tokens per row; a window starts where the last one ended, and predicts the first token of the next.
    """

    def __init__(self, tokens: Int32[np.ndarray, " N"], window: int, batch_size: int, seed: int) -> None:
        super().__init__(seed)
        self.tokens, self.window, self.batch_size = tokens, window, batch_size
        self.windows = (len(tokens) - 1) // window
        self.batches_per_epoch = self.windows // batch_size  # the few left over come up in another epoch's order
        if self.batches_per_epoch < 1:
            raise InputError(f"the text has {len(tokens)} tokens, too few for one batch of {batch_size} rows of "
                             f"{window} tokens; add text or make the batch smaller")

    def _plan(self, rng: np.random.Generator) -> list[np.ndarray]:
        order = rng.permutation(self.windows)[:self.batches_per_epoch * self.batch_size]
        return list(order.reshape(self.batches_per_epoch, self.batch_size))

    def _batch(self, entry: np.ndarray) -> TrainBatch:
        places = entry[:, None] * self.window + np.arange(self.window + 1)
        rows = self.tokens[places]
        lengths = np.full(self.batch_size, self.window, np.int32)
        return TrainBatch(rows[:, :-1], lengths, rows[:, 1:], tuple(f"window-{index}" for index in entry))


def text_batches(paths: Sequence[Path], tokenizer: "PreTrainedTokenizerBase", window: int, batch_size: int, seed: int,
                 column: str = "text") -> TextStream:
    """Batches of packed windows from text files.

    Args:
      paths: `.txt` (one document per block between blank lines) or any row format of a task, each also `.gz`.
      column: of row files, the column with a document.

    Raises:
      InputError: an unreadable file, a row without the column, a tokenizer without end-of-text token, too little text.
    """
    end = tokenizer.eos_token_id
    if not isinstance(end, int):
        raise InputError(f"tokenizer {tokenizer.name_or_path}: has no end-of-text token to separate documents with")
    documents = [text for path in paths for text in _documents(path, column)]
    ids = tokenizer(documents, add_special_tokens=False, verbose=False)["input_ids"] if documents else []
    return TextStream(np.fromiter(_joined(ids, end), np.int32), window, batch_size, seed)


def _joined(ids: Iterable[list[int]], end: int) -> Iterator[int]:
    for document in ids:
        yield from document
        yield end


def _documents(path: Path, column: str) -> Iterator[str]:
    if path.name.removesuffix(".gz").endswith(".txt"):
        yield from text_blocks(path)
        return
    for row in read_rows(path):
        text = (row.values or {}).get(column)
        if not isinstance(text, str):
            raise InputError(f"{row.where}: {row.fault or f'no text in the column {column!r}'}")
        yield text
