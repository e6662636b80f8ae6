"""Activations in random order: whole blocks of them are shuffled, and the place in the stream is a few numbers."""

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from jaxtrunc.core.errors import InputError, RunFailed


class Source(Protocol):
    """Chunks of activations (rows, d), as many as are asked for; `restore(state)` continues after the chunk where `state` was."""

    @property
    def state(self) -> Any:
        """Plain JSON that says how many chunks were given."""
        ...

    def restore(self, state: Any) -> None:
        """Continue as if the chunks before `state` had been given."""
        ...

    def __next__(self) -> np.ndarray:
        """The next chunk; chunks may differ in their number of rows."""
        ...


@dataclass(frozen=True)
class _Place:
    """Where a block begins: its number, the source's state before the chunk of its first row, rows of that chunk to skip."""

    block: int
    source: Any
    skip: int


class ShuffledBuffer:
    """Batches (batch, d) float32: `batches` of them are read ahead as one block, shuffled, given, and replaced by the next block.

    What a batch holds depends on source, seed and position alone, so a resumed run reads one block again and goes on exactly.
    """

    def __init__(self, source: Source, *, d: int, batch: int, batches: int, seed: int):
        self._source, self.d, self._batch, self._batches, self._seed = source, d, batch, batches, seed
        self._here = self._next = _Place(0, source.state, 0)
        self._given, self._is_read = 0, False
        self._rows = np.zeros((0, d), np.float32)
        self._order = np.zeros(0, np.int64)
        self._rest = self._rows

    def __next__(self) -> np.ndarray:
        if self._given == self._batches:
            self._here, self._given, self._is_read = self._next, 0, False
        self._read()
        start = self._given * self._batch
        self._given += 1
        return self._rows[self._order[start : start + self._batch]]

    @property
    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs, as plain JSON."""
        at_end = self._given == self._batches
        return asdict(self._next if at_end else self._here) | {"given": 0 if at_end else self._given}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue as if the batches before `state` had been given."""
        self._here, self._given = _Place(state["block"], state["source"], state["skip"]), state["given"]
        self._rest, self._is_read = self._rest[:0], False
        self._source.restore(self._here.source)

    def moments(self) -> tuple[np.ndarray, float]:
        """Mean (d,) and mean squared norm of the block at hand, in float64."""
        self._read()
        squares = np.einsum("ij,ij->", self._rows, self._rows, dtype=np.float64)
        return self._rows.mean(axis=0, dtype=np.float64), float(squares) / len(self._rows)

    def _read(self) -> None:
        """Bring the block at hand into the memory of the last one, unless it is there."""
        if self._is_read:
            return
        if not len(self._rows):
            self._rows = np.empty((self._batches * self._batch, self.d), np.float32)
        before, used, filled = self._here.source, self._here.skip, 0
        if used and not len(self._rest):  # restored
            self._rest = self._chunk()[used:]
        while filled < len(self._rows):
            if not len(self._rest):
                before, used, self._rest = self._source.state, 0, self._chunk()
            taken = self._rest[: len(self._rows) - filled]
            self._rows[filled : filled + len(taken)] = taken
            filled, used, self._rest = filled + len(taken), used + len(taken), self._rest[len(taken) :]
        following = (before, used) if len(self._rest) else (self._source.state, 0)
        self._next = _Place(self._here.block + 1, *following)
        self._order = np.random.default_rng([self._seed, self._here.block]).permutation(len(self._rows))
        self._is_read = True

    def _chunk(self) -> np.ndarray:
        try:
            chunk = np.asarray(next(self._source), np.float32)
        except StopIteration:
            raise InputError(f"sae: the activations ended before {self._batches} batches of {self._batch} were read; "
                             "give more data, or a smaller batch") from None
        if chunk.ndim != 2 or chunk.shape[1] != self.d:
            raise InputError(f"sae: expected activations (rows, {self.d}), found {chunk.shape}")
        if not np.isfinite(chunk).all():
            raise RunFailed("sae: an activation is not finite; the model that gives them is broken, or its precision is too low")
        return chunk
