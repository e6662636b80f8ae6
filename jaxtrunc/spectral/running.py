"""The running sum of one matrix, D = ΔW(g): what lies between two levels is added, some rows at a time."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float
from scipy.linalg import get_blas_funcs

from jaxtrunc.spectral.chains import Chain
from jaxtrunc.spectral.view import upright

BLOCK = 1 << 19
"""Entries of a block: it stays in the cache from one addition to the next, and until W is made of it."""

(sgemm,) = get_blas_funcs(("gemm",), dtype=np.float32)
Factors = tuple[Float[np.ndarray, "c m"], Float[np.ndarray, "c n"]]


def blocks_of(shape: tuple[int, int]) -> Iterator[slice]:
    """The rows of a matrix, in blocks that depend on its shape alone."""
    step = max(BLOCK // shape[1], 1)
    return (slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step))


class RunningSum:
    """Where the last chain stands: D `(m, n)` at one of its rungs, float32."""

    def __init__(self, shape: tuple[int, int], pair: Callable[[], tuple[np.ndarray, np.ndarray]]):
        """`pair` gives W_base and W_ft `(m, n)` as stored."""
        self._shape, self._pair = shape, pair
        self._sum = np.empty((0, 0), np.float32)
        self._key: tuple[str, int] | None = None
        self._rung = 0

    def blocks(self, chain: Chain, factors: Factors) -> Iterator[tuple[slice, Float[np.ndarray, "rows n"]]]:
        """D at `chain`, block by block; all must be taken, and none be written to.

        The sum advances to the last rung of the chain; what lies beyond it is added to a copy.
        """
        fresh = self._key != chain.key or self._rung > chain.rung
        if not self._sum.size:
            self._sum = np.empty(self._shape, np.float32)
        climbed = [rung for rung in chain.rungs if (0 if fresh else self._rung) <= rung <= chain.rung]
        steps = [_chosen(factors, chain, *ends) for ends in itertools.pairwise(climbed)]
        beyond = _chosen(factors, chain, chain.rung, chain.count) if chain.count > chain.rung else None
        self._key = None  # until every block is where it should be
        for rows in blocks_of(self._shape):
            block = self._sum[rows]
            if fresh:
                self._start(block, rows, chain)
            for step in steps:
                _add(block, rows, step, chain)
            if beyond:
                block = block.copy()
                _add(block, rows, beyond, chain)
            yield rows, block
        self._key, self._rung = chain.key, chain.rung

    def _start(self, block: np.ndarray, rows: slice, chain: Chain) -> None:
        if not chain.removes:
            block.fill(0)
            return
        before, after = (upright(matrix[rows]) for matrix in self._pair())
        np.subtract(after.astype(np.float32, copy=False), before.astype(np.float32, copy=False), out=block)


def _chosen(factors: Factors, chain: Chain, start: int, stop: int) -> Factors:
    """The rows of both factors that are the components `order[start:stop]`; consecutive ones are not copied."""
    indices = np.sort(chain.order[start:stop])
    first, last = int(indices[0]), int(indices[-1])
    chosen = slice(first, last + 1) if last - first + 1 == len(indices) else indices
    return factors[0][chosen], factors[1][chosen]


def _add(block: np.ndarray, rows: slice, step: Factors, chain: Chain) -> None:
    """Accumulate in place; Fortran sees the transposes of our C-ordered arrays."""
    left, right = step
    done = sgemm(-1.0 if chain.removes else 1.0, right.T, left[:, rows].T, 1.0, block.T, trans_b=1, overwrite_c=1)
    assert np.shares_memory(done, block)  # else the sum would be lost in a copy
