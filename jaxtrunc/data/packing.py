"""Sequences of many lengths, laid one after the other in rows of one length: one shape to compile, and next to no padding."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from jaxtrunc.data.batching import FILLER, pad

KEYS = 2048
"""So many keys cost a token about what its products with the weights cost: long rows have less padding, but more to look at."""
ROW_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)


@dataclass(frozen=True)
class PackedBatch:
    """A batch for evaluation, several sequences in a row.

    Attributes:
      tokens: right-padded with 0.
      segments: which sequence of its row a token belongs to, from 0; −1 at padding.
      ends: the last token of each sequence of a row; 0 where a row has fewer.
      slots: where the end of each sequence stands in `ends`, row after row; 0 for a filler.
      rows: position of each sequence in the list that was packed, −1 for a filler.
    """

    tokens: Int32[np.ndarray, "B T"]
    segments: Int32[np.ndarray, "B T"]
    ends: Int32[np.ndarray, "B Q"]
    slots: Int32[np.ndarray, " N"]
    rows: Int32[np.ndarray, " N"]


def pack_batches(sequences: Sequence[Sequence[int]], batch_size: int, multiple_of: int = 1) -> list[PackedBatch]:
    """All sequences in batches of one shape, at most `batch_size` in each; the same batches for the same lengths.

    Args:
      sequences: token ids; none may be empty.
      multiple_of: the number of rows of a batch is one, so that they divide over devices.
    """
    lengths = [len(sequence) for sequence in sequences]
    batches = _dealt(lengths, batch_size)
    most = -(-len(batches[0]) // multiple_of)
    counts = {min(count, most) * multiple_of for count in ROW_COUNTS}
    plans = [[_spread(lengths, batch, count) for batch in batches] for count in sorted(counts)]
    plan = min(plans, key=lambda plan: _cost(lengths, plan))
    shape = len(plan[0]), _longest(lengths, plan)
    most_in_a_row = max(len(row) for rows in plan for row in rows)
    return [_batch(sequences, rows, shape, most_in_a_row, len(batches[0])) for rows in plan]


def _dealt(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """The sequences of every batch, longest first: dealt to and fro, so that all batches have about as many tokens."""
    order = np.argsort(np.negative(lengths), kind="stable").tolist()
    count = -(-len(order) // batch_size)
    rounds = [order[start:start + count] for start in range(0, len(order), count)]
    turned = [dealt[::-1] if turn % 2 and len(dealt) == count else dealt for turn, dealt in enumerate(rounds)]
    return [[dealt[place] for dealt in turned if place < len(dealt)] for place in range(count)]


def _spread(lengths: Sequence[int], batch: Sequence[int], count: int) -> list[list[int]]:
    """Each sequence, longest first, into the row that is shortest so far (Graham 1969, Bounds on multiprocessing anomalies)."""
    rows: list[list[int]] = [[] for _ in range(count)]
    loads = [(0, row) for row in range(count)]
    for sequence in batch:
        load, row = loads[0]
        rows[row].append(sequence)
        heapq.heapreplace(loads, (load + lengths[sequence], row))
    return rows


def _longest(lengths: Sequence[int], plan: Sequence[Sequence[Sequence[int]]]) -> int:
    return max(sum(lengths[sequence] for sequence in row) for rows in plan for row in rows)


def _cost(lengths: Sequence[int], plan: Sequence[Sequence[Sequence[int]]]) -> float:
    """Tokens of a batch with padding, those of long rows costing more."""
    width = _longest(lengths, plan)
    return len(plan[0]) * width * (1 + width / KEYS)


def _batch(sequences: Sequence[Sequence[int]], rows: Sequence[Sequence[int]], shape: tuple[int, int], most_in_a_row: int,
           size: int) -> PackedBatch:
    stops = [np.cumsum([len(sequences[sequence]) for sequence in row], dtype=int) for row in rows]
    tokens = pad([[token for sequence in row for token in sequences[sequence]] for row in rows], *shape, 0)
    segments = pad([[number for number, sequence in enumerate(row) for _ in sequences[sequence]] for row in rows], *shape, -1)
    ends = pad([(stop - 1).tolist() for stop in stops], shape[0], most_in_a_row, 0)
    slots = [number * most_in_a_row + place for number, row in enumerate(rows) for place in range(len(row))]
    packed = [sequence for row in rows for sequence in row]
    return PackedBatch(tokens, segments, ends, pad([slots], 1, size, 0)[0], pad([packed], 1, size, FILLER)[0])
