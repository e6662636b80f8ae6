"""Paired stratified bootstrap: one set of resamples for all models, so that their errors cancel where they agree.

Every statistic of the study is a function of accuracies per stratum. A resample is therefore kept as the number of
times it draws each example, and the accuracies of K models over B resamples are one product of counts and correctness.
Source: Efron & Tibshirani 1993, chapters 6 (strata, section 8.3) and 13 (percentile interval).
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxtrunc.evals.intervals import Interval

DRAWS = 2000
_KEEP = 2**28  # bytes of counts kept for the next call; beyond it they are drawn again from the seed
_BLOCK = 2**25  # counts worked on at a time


class Resamples:
    """`draws` resamples of n examples, drawn with replacement within each stratum; the same for the same arguments."""

    def __init__(self, index: Int[np.ndarray, " n"], strata: int, *, draws: int = DRAWS, seed: int = 0):
        self.index, self.strata, self.draws, self._seed = index, strata, draws, seed
        self.counts = np.bincount(index, minlength=strata)
        self._members = [np.flatnonzero(index == stratum) for stratum in range(strata)]
        self._kept: list[np.ndarray] | None = None

    def rates(self, correct: Bool[np.ndarray, "K n"]) -> Float[np.ndarray, "B+1 K S"]:
        """Accuracy per stratum of K models: row 0 on the examples themselves, then on each resample; NaN if empty."""
        hits = [correct[:, members].T.astype(np.float32) for members in self._members]
        rows = [np.stack([column.sum(axis=0) for column in hits], axis=-1)[None]]
        for block in self._blocks():
            parts = np.split(block, np.cumsum(self.counts)[:-1], axis=1)
            sums = [part.astype(np.float32) @ hit for part, hit in zip(parts, hits, strict=True)]
            rows.append(np.stack(sums, axis=-1))
        with np.errstate(invalid="ignore"):
            return np.concatenate(rows).astype(np.float64) / self.counts

    def _blocks(self) -> Iterator[np.ndarray]:
        """Counts (rows, n) as uint8, columns ordered by stratum."""
        if self._kept is not None:
            yield from self._kept
            return
        kept = [] if self.draws * len(self.index) <= _KEEP else None
        for block in self._draw():
            if kept is not None:
                kept.append(block)
            yield block
        self._kept = kept

    def _draw(self) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(self._seed)
        height = max(_BLOCK // max(len(self.index), 1), 1)
        for start in range(0, self.draws, height):
            rows = min(height, self.draws - start)
            yield np.concatenate([_counts(rng, rows, len(members)) for members in self._members], axis=1)


def percentile_interval(draws: Float[np.ndarray, " B"]) -> Interval:
    """The 2.5th and 97.5th percentile; not finite where the draws are not (a ratio over 0 in many resamples)."""
    with np.errstate(invalid="ignore"):
        low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def _counts(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    """How often each of `size` examples is drawn in each of `rows` samples of `size`, as uint8."""
    if size == 0:
        return np.zeros((rows, 0), np.uint8)
    drawn = rng.integers(0, size, size=(rows, size)) + np.arange(rows)[:, None] * size
    return np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size).astype(np.uint8)
