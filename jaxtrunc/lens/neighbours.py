"""How close a token's nearest neighbours are: rows that were never trained lie together."""

import numpy as np

from jaxtrunc.core.chunks import Rows, each_chunk
from jaxtrunc.lens.rows import take

NEAREST = 5
BLOCK = 2048
ALL, MANY = 20_000, 100_000
"""Up to ALL rows every row is compared, above it the 5 % of lowest spread, above MANY rows 1 %."""
LEAST = 2000


def chosen_rows(spread: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Ids to compare: of those marked all, or those of lowest spread, ascending."""
    ids = np.flatnonzero(among)
    count = len(spread)
    if count <= ALL:
        return ids
    most = max(round(count * (0.01 if count > MANY else 0.05)), LEAST)
    return np.sort(ids[np.argsort(spread[ids], kind="stable")[:most]])


def nearest_cosine(rows: Rows, ids: np.ndarray, mean: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """nn5 `(len(ids),)`: mean cosine of each centred row with its 5 nearest others, out of all rows that are not zero."""
    asked = _unit(take(rows, ids) - mean)

    def part(start: int, chunk: np.ndarray) -> np.ndarray:
        others = _unit(chunk.astype(np.float64) - mean)
        hidden = zero[start : start + len(others)]
        return np.concatenate([_best(asked[at : at + BLOCK], ids[at : at + BLOCK] - start, others, hidden)
                               for at in range(0, len(asked), BLOCK)])

    best = np.full((len(ids), NEAREST), -np.inf, np.float32)
    for found in each_chunk(rows, part):
        best = _largest(np.concatenate([best, found], axis=1))
    return best.astype(np.float64).mean(1)


def _best(asked: np.ndarray, own: np.ndarray, others: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """The largest cosines with a chunk; `own`: where in the chunk each row itself would be."""
    cosines = asked @ others.T
    cosines[:, hidden] = -np.inf
    here = np.flatnonzero((own >= 0) & (own < len(others)))
    cosines[here, own[here]] = -np.inf
    return _largest(cosines) if len(others) > NEAREST else cosines


def _largest(cosines: np.ndarray) -> np.ndarray:
    return np.partition(cosines, -NEAREST, axis=1)[:, -NEAREST:]


def _unit(rows: np.ndarray) -> np.ndarray:
    """float32 rows of length 1; one that equals the mean stays zero."""
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(norm > 0, norm, 1)).astype(np.float32)
