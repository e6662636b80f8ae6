"""Views of a matrix whose rows are tokens, none of which copies it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from jaxtrunc.core.chunks import CHUNK, Rows
from jaxtrunc.core.errors import InputError

Layout = Literal["vd", "dv"]


def as_rows(matrix: Any, layout: Layout = "vd") -> Rows:
    """The matrix with one row per token: what is on disk as it is, an array `(V, d)`, or `(d, V)` if `layout` says so.

    Raises:
      InputError: not a matrix of floats with at least two columns and no fewer rows than columns.
    """
    lazy = hasattr(matrix, "shape") and not hasattr(matrix, "__array__")
    rows = matrix if lazy else np.asarray(matrix)
    if len(rows.shape) != 2 or rows.dtype.name not in ("float64", "float32", "bfloat16", "float16"):
        raise InputError(f"head: expected a matrix of floats, found shape {list(rows.shape)} of {rows.dtype.name}")
    rows = rows.T if layout == "dv" else rows
    if rows.shape[0] < rows.shape[1] or rows.shape[1] < 2:
        raise InputError(f"head: shape {list(rows.shape)}; expected at least two columns and no fewer rows than columns "
                         "(layout='dv' is for a kernel stored as width × vocabulary)")
    return rows


def compute_dtype(rows: Rows) -> type[np.floating]:
    """float64 for what is stored so, else float32, which holds the other formats exactly."""
    return np.float64 if rows.dtype == np.float64 else np.float32


def take(rows: Rows, ids: np.ndarray) -> np.ndarray:
    """The rows of those ids, in any order, as float64."""
    found = np.empty((len(ids), rows.shape[1]))
    order = np.argsort(ids, kind="stable")
    for part in _runs(np.asarray(ids)[order]):
        block = np.asarray(rows[int(ids[order[part.start]]) : int(ids[order[part.stop - 1]]) + 1])
        found[order[part]] = block[np.asarray(ids)[order[part]] - ids[order[part.start]]]
    return found


def _runs(ordered: np.ndarray) -> Iterator[slice]:
    """Stretches of ascending ids that lie within one chunk of rows."""
    ends = np.flatnonzero(np.diff(ordered // CHUNK)) + 1
    for start, stop in zip(np.r_[0, ends], np.r_[ends, len(ordered)], strict=True):
        if stop > start:
            yield slice(int(start), int(stop))


@dataclass(frozen=True)
class ScaledRows:
    """Rows with each column multiplied by a gain, float32 (float64 where the rows are)."""

    rows: Rows
    gain: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """`(V, d)`."""
        return self.rows.shape

    @property
    def dtype(self) -> np.dtype:
        """Of the products."""
        return np.dtype(compute_dtype(self.rows))

    def __getitem__(self, part: slice) -> np.ndarray:
        return (np.asarray(self.rows[part], np.float64) * self.gain).astype(self.dtype)


@dataclass(frozen=True)
class FirstRows:
    """The first `count` rows."""

    rows: Rows
    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        """`(count, d)`."""
        return (self.count, self.rows.shape[1])

    @property
    def dtype(self) -> np.dtype:
        """As stored."""
        return self.rows.dtype

    def __getitem__(self, part: slice) -> np.ndarray:
        return self.rows[slice(*part.indices(self.count))]


@dataclass(frozen=True)
class Difference:
    """Rows `tuned[theirs[i]] − base[ours[i]]`: what fine-tuning added to each token of both."""

    base: Rows
    tuned: Rows
    ours: np.ndarray
    theirs: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """`(matched, d)`."""
        return (len(self.ours), self.base.shape[1])

    @property
    def dtype(self) -> np.dtype:
        """float64 where both are, else float32."""
        return np.result_type(compute_dtype(self.base), compute_dtype(self.tuned))

    def __getitem__(self, part: slice) -> np.ndarray:
        return (take(self.tuned, self.theirs[part]) - take(self.base, self.ours[part])).astype(self.dtype)
