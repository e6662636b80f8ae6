"""Which rows of two heads stand for the same token."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from jaxtrunc.core.chunks import Rows
from jaxtrunc.core.errors import InputError
from jaxtrunc.lens.vocabulary import Vocabulary

LISTED = 50


class Tokens(Protocol):
    """A head with what its rows stand for."""

    @property
    def rows(self) -> Rows:
        """`(V, d)`."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """Of those rows."""
        ...


@dataclass(frozen=True)
class Alignment:
    """Row `ours[i]` of the base is row `theirs[i]` of the tuned head; `by` is token or id."""

    by: str
    ours: np.ndarray
    theirs: np.ndarray

    @property
    def same_ids(self) -> bool:
        """Whether every token kept its number."""
        return bool(np.array_equal(self.ours, self.theirs))

    def to_base(self, ids: np.ndarray, rows: int) -> np.ndarray:
        """The base's ids of tuned rows, −1 where the base has no such token; `rows`: of the tuned head."""
        back = np.full(rows, -1)
        back[self.theirs] = self.ours
        return back[ids]

    def to_tuned(self, ids: np.ndarray, rows: int) -> np.ndarray:
        """The tuned head's ids of base rows, −1 where it has no such token; `rows`: of the base."""
        there = np.full(rows, -1)
        there[self.ours] = self.theirs
        return there[ids]

    def facts(self, base: Tokens, tuned: Tokens) -> dict[str, Any]:
        """How many rows were aligned, and the tokens that only one side has."""
        return {"by": self.by, "rows": len(self.ours),
                "only_base": _left_over(base, self.ours), "only_tuned": _left_over(tuned, self.theirs)}


def align(base: Tokens, tuned: Tokens) -> Alignment:
    """By the tokens' pieces where both tokenizers are known, else by id.

    Raises:
      InputError: other widths, no token in common, or, by id, other numbers of rows.
    """
    (ours, width), (theirs, other) = base.rows.shape, tuned.rows.shape
    if width != other:
        raise InputError(f"--compare: the heads are {width} and {other} wide; only heads of one width can be compared")
    if base.vocabulary.length is None or tuned.vocabulary.length is None:
        if ours != theirs:
            raise InputError(f"--compare: the heads have {ours} and {theirs} rows, and without both tokenizers rows are taken to "
                             "be in the same order; give directories that hold their tokenizers")
        return Alignment("id", np.arange(ours), np.arange(ours))
    known = {piece: token for token, piece in enumerate(tuned.vocabulary.pieces) if piece is not None}
    pairs = [(token, known[piece]) for token, piece in enumerate(base.vocabulary.pieces) if piece in known]
    if not pairs:
        raise InputError("--compare: the two tokenizers have no token in common")
    return Alignment("token", *np.array(pairs).T)


def _left_over(found: Tokens, matched: np.ndarray) -> dict[str, Any]:
    alone = np.ones(found.rows.shape[0], bool)
    alone[matched] = False
    if found.vocabulary.length is not None:
        alone &= np.array([piece is not None for piece in found.vocabulary.pieces])
    ids = np.flatnonzero(alone)
    return {"count": len(ids), "ids": ids[:LISTED]}
