"""What is known of the tokens that the rows stand for; without a tokenizer nothing but their number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jaxtrunc.core.errors import InputError
from jaxtrunc.lens.categories import BYTE, PADDING, SPECIAL, UNREACHABLE, UNUSED, token_categories
from jaxtrunc.lens.display import raw_pieces, redacted, token_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

UNKNOWN = "unknown"
EXPECTED = (SPECIAL, BYTE, UNREACHABLE)
"""Tokens that are anomalous by nature; they have lists of their own."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Per row: category, text to show (None: nothing to print), and piece as the tokenizer stores it (None: no such id).

    `length`: T, with added tokens; None without a tokenizer. `masked`: texts in which something was masked.
    """

    categories: np.ndarray
    texts: Sequence[str | None]
    pieces: Sequence[str | None]
    length: int | None
    masked: int = 0

    def ids(self, category: str) -> np.ndarray:
        """Rows of that category, ascending."""
        return np.flatnonzero(self.categories == category)

    def show(self, ids: Sequence[int]) -> list[str | None]:
        """The texts of those rows."""
        return [self.texts[token] for token in ids]

    def rows(self, ids: np.ndarray) -> "Vocabulary":
        """That of some of the rows."""
        chosen = ids.tolist()
        return Vocabulary(self.categories[ids], self.show(chosen), [self.pieces[token] for token in chosen], self.length)

    def eligible(self, zero: np.ndarray) -> np.ndarray:
        """Rows that count for thresholds and rankings: neither padding nor zero."""
        return (self.categories != PADDING) & ~zero

    def ordinary(self) -> np.ndarray:
        """Rows that may stand in a list of findings."""
        return ~np.isin(self.categories, (*EXPECTED, PADDING))


def unknown_vocabulary(rows: int) -> Vocabulary:
    """Without a tokenizer."""
    return Vocabulary(np.full(rows, UNKNOWN), [None] * rows, [None] * rows, None)


def read_vocabulary(tokenizer: "PreTrainedTokenizerBase", rows: int, *, masks: Sequence[str] = (), ids_only: bool = False,
                    name: str = "tokenizer") -> Vocabulary:
    """The tokens of a tokenizer, as rows of a head.

    Args:
      masks: words that are not shown. ids_only: show no text at all.

    Raises:
      InputError: the tokenizer has more ids than the head has rows; begins with `name`.
    """
    pieces = raw_pieces(tokenizer)
    if len(pieces) > rows:
        raise InputError(f"{name}: {len(pieces)} tokens with those added, but the head has {rows} rows; give the tokenizer of "
                         "this model")
    texts = token_texts(tokenizer, rows)
    shown = [None] * rows if ids_only else redacted(texts, masks)
    masked = 0 if ids_only else sum(a != b for a, b in zip(texts, shown, strict=True))
    categories = np.array(token_categories(tokenizer, rows))
    return Vocabulary(categories, shown, pieces + [None] * (rows - len(pieces)), len(pieces), masked)


def reference_ids(vocabulary: Vocabulary, given: Sequence[int] = ()) -> tuple[str, np.ndarray]:
    """Rows known not to have been trained, and where they are known from: the user, padding, reserved names, or nothing."""
    for source, ids in (("user", np.asarray(given, int)), ("padding", vocabulary.ids(PADDING)), ("unused", vocabulary.ids(UNUSED))):
        if len(ids):
            return source, ids
    return "none", np.array([], int)
