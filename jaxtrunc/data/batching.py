"""Token sequences of many lengths become right-padded batches of few shapes, one sequence in a row.

For training, whose batches keep their order, and for what reads or writes whole rows; scoring packs several into a row
(`packing.py`).
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

FILLER = -1  # in `rows`: a row that is there only to fill the batch


@dataclass(frozen=True)
class TokenBatch:
    """A batch for evaluation.

    Attributes:
      tokens: right-padded with 0.
      lengths: real tokens per row; a filler row has length 1, so that gathering at length − 1 stays inside.
      rows: position in the list that was batched, −1 for a filler row.
    """

    tokens: Int32[np.ndarray, "B T"]
    lengths: Int32[np.ndarray, " B"]
    rows: Int32[np.ndarray, " B"]


def shared_prefix(sequences: Sequence[Sequence[int]], least: int = 8) -> list[int]:
    """The tokens that all sequences begin with, at least one short of the shortest; none if they are fewer than `least`."""
    columns = zip(*sequences, strict=False)  # ends with the shortest
    common = [tokens[0] for tokens in itertools.takewhile(lambda tokens: len(set(tokens)) == 1, columns)]
    found = common[:min(map(len, sequences), default=1) - 1]
    return found if len(found) >= least else []


def bucket_batches(sequences: Sequence[Sequence[int]], batch_size: int, max_shapes: int = 6,
                   multiple_of: int = 8) -> list[TokenBatch]:
    """All sequences, shortest first, in batches of `batch_size` rows and at most `max_shapes` widths.

    Args:
      sequences: token ids; none may be empty.
      multiple_of: widths are rounded up to a multiple of this.
    """
    lengths = [len(sequence) for sequence in sequences]
    widths = bucket_widths(lengths, max_shapes, multiple_of)
    order = np.argsort(lengths, kind="stable")
    plan = plan_batches(lengths, order, widths, batch_size)
    return [_batch(sequences, width, rows, batch_size) for width, rows in plan]


def bucket_widths(lengths: Sequence[int], max_shapes: int, multiple_of: int) -> list[int]:
    """At most `max_shapes` ascending widths that hold all lengths with the fewest padding tokens.

    Exact, by dynamic programming over the distinct rounded lengths.
    """
    rounded = -(-np.asarray(lengths, np.int64) // multiple_of) * multiple_of
    values, counts = np.unique(rounded, return_counts=True)
    if len(values) <= max_shapes:
        return [int(value) for value in values]
    below = np.concatenate([[0], np.cumsum(counts)])
    # cost[j]: fewest tokens, padding included, for values[:j] with the widths placed so far (the last: values[j - 1])
    cost = np.concatenate([[0.0], np.full(len(values), np.inf)])
    choices = []
    for _ in range(max_shapes):
        totals = cost[None, :-1] + (below[1:, None] - below[None, :-1]) * values[:, None]
        totals[np.triu_indices(len(values), 1)] = np.inf
        choices.append(totals.argmin(axis=1))
        cost = np.concatenate([[np.inf], totals.min(axis=1)])
    end, widths = len(values), []
    for choice in reversed(choices):
        widths.append(int(values[end - 1]))
        end = int(choice[end - 1])
    return widths[::-1]


def plan_batches(lengths: Sequence[int], order: Iterable[int], widths: Sequence[int],
                 batch_size: int) -> list[tuple[int, list[int]]]:
    """(width, rows) of every batch: rows go to the narrowest width that holds them, in the given order.

    What does not fill a batch moves on to the next wider one, so only the last batch can be short; the number of
    batches of each width does not depend on the order.
    """
    buckets: dict[int, list[int]] = {width: [] for width in widths}
    for row in order:
        buckets[widths[int(np.searchsorted(widths, lengths[row]))]].append(int(row))
    plan, carried = [], []
    for width in widths:
        waiting = carried + buckets[width]
        whole = len(waiting) - len(waiting) % batch_size
        plan += [(width, waiting[start:start + batch_size]) for start in range(0, whole, batch_size)]
        carried = waiting[whole:]
    return [*plan, (widths[-1], carried)] if carried else plan


def pad(sequences: Sequence[Sequence[int]], rows: int, width: int, fill: int) -> Int32[np.ndarray, "B T"]:
    """An array (rows, width) with the sequences at the left of its first rows and `fill` elsewhere."""
    padded = np.full((rows, width), fill, np.int32)
    for row, sequence in enumerate(sequences):
        padded[row, :len(sequence)] = sequence
    return padded


def _batch(sequences: Sequence[Sequence[int]], width: int, rows: list[int], batch_size: int) -> TokenBatch:
    chosen = [sequences[row] for row in rows]
    lengths = np.ones(batch_size, np.int32)
    lengths[:len(rows)] = [len(sequence) for sequence in chosen]
    return TokenBatch(pad(chosen, batch_size, width, 0), lengths, pad([rows], 1, batch_size, FILLER)[0])
