"""Rows of both objectives: tables of arrays, and the batches drawn from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jaxtrunc.core.errors import InputError
from jaxtrunc.data import Stream
from jaxtrunc.data.batching import pad
from jaxtrunc.data.streams import NO_LOSS

Table = Mapping[str, np.ndarray]
"""Name → (rows, …); all arrays of a table have the same rows, which are drawn together."""


@dataclass(frozen=True)
class SteerBatch:
    """One step's rows.

    Attributes:
      arrays: name → (batch_size, …), of all tables together; what the objectives read.
      ids: of the rows, as `TABLE-NUMBER`; named when a loss is not finite.
      tokens: real ones in it.
    """

    arrays: Mapping[str, np.ndarray]
    ids: tuple[str, ...]
    tokens: int


class RowStream(Stream[SteerBatch]):
    """`batch_size` rows of every table in each batch, in an order that depends on seed and position alone.

    An epoch gives every row of the largest table once; a smaller one begins anew, in another order, as often as it must.

    Raises:
      InputError: a table with fewer rows than a batch has.
    """

    def __init__(self, tables: Mapping[str, Table], batch_size: int, seed: int) -> None:
        super().__init__(seed)
        self._tables, self._batch_size = tables, batch_size
        self._rows = {name: len(next(iter(table.values()))) for name, table in tables.items()}
        for name, rows in self._rows.items():
            if rows < batch_size:
                raise InputError(f"train: batch_size {batch_size} is more than the {rows} rows of '{name}'")
        self.batches_per_epoch = max(self._rows.values()) // batch_size

    def _plan(self, rng: np.random.Generator) -> list[dict[str, np.ndarray]]:
        wanted = self.batches_per_epoch * self._batch_size
        orders = {name: np.concatenate([rng.permutation(rows) for _ in range(-(-wanted // rows))])[:wanted]
                  for name, rows in self._rows.items()}
        return [{name: order[start:start + self._batch_size] for name, order in orders.items()}
                for start in range(0, wanted, self._batch_size)]

    def _batch(self, entry: dict[str, np.ndarray]) -> SteerBatch:
        arrays = {key: array[entry[name]] for name, table in self._tables.items() for key, array in table.items()}
        ids = tuple(f"{name}-{row}" for name, rows in entry.items() for row in rows)
        return SteerBatch(arrays, ids, _real_tokens(arrays))


def checked(tables: Mapping[str, Table]) -> None:
    """Refuse tables without rows, of unequal rows, or with a row that has nothing to predict: `InputError` names it."""
    for name, table in tables.items():
        if len({len(array) for array in table.values()}) > 1:
            raise InputError(f"task: the arrays of '{name}' have unequal numbers of rows")
        for key, array in table.items():
            if not len(array):
                raise InputError(f"task: '{name}' has no rows; both objectives need some")
            if key.endswith("labels") and not (array >= 0).any(1).all():
                row = int(np.argmin((array >= 0).any(1)))
                raise InputError(f"task: row {row} of '{name}' has nothing to predict in {key}; leave it out, or cut rows later")


def answer_table(name: str, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]],
                 width: int) -> dict[str, np.ndarray]:
    """Prompt and answer as one right-padded row each; the labels are the answer's tokens, where each is predicted.

    Args:
      name: of the keys, NAME_tokens, NAME_labels, NAME_mask; empty: tokens, labels, mask.
      width: T; a longer row is cut at the right.

    Returns:
      tokens (rows, T) int32, labels (rows, T) int32, −1 where there is none, mask (rows, T) bool of real tokens.
    """
    pairs = list(zip(prompts, answers, strict=True))
    tokens = [[*prompt, *answer][:-1][:width] for prompt, answer in pairs]
    labels = [[*[NO_LOSS] * (len(prompt) - 1), *answer][:width] for prompt, answer in pairs]
    lengths = np.array([len(row) for row in tokens])
    prefix = name and name + "_"
    return {f"{prefix}tokens": pad(tokens, len(pairs), width, 0), f"{prefix}labels": pad(labels, len(pairs), width, NO_LOSS),
            f"{prefix}mask": np.arange(width) < lengths[:, None]}


def _real_tokens(arrays: Table) -> int:
    """By their mask, or all where there is none."""
    sides = [key.removesuffix("tokens") for key in arrays if key.endswith("tokens")]
    return sum(int(arrays[side + "mask"].sum()) if side + "mask" in arrays else arrays[side + "tokens"].size for side in sides)
