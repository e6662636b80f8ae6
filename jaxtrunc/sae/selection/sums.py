"""Sums per class in float64 on the host: all that selection needs, whatever the number of examples and however they are cut up."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxtrunc.core.errors import InputError
from jaxtrunc.sae.selection.pooling import Pooled

ALIGNED, UNALIGNED = 0, 1
NO_SPREAD = 1e-12
"""A variance below this share of the mean square is rounding of float64, so zero."""


@dataclass(eq=False)
class ClassSums:
    """Row 0 of every array is the aligned class, row 1 the unaligned one.

    Attributes:
      total: Σa over the units (pooled examples; with pooling `all` tokens).
      squares: Σa² over the units.
      units: how many.
      fired: tokens on which each feature was above zero.
      tokens: all tokens.
    """

    total: Float[np.ndarray, "2 n"]
    squares: Float[np.ndarray, "2 n"]
    units: Int[np.ndarray, " 2"]
    fired: Int[np.ndarray, "2 n"]
    tokens: Int[np.ndarray, " 2"]

    @classmethod
    def empty(cls, n: int) -> "ClassSums":
        """Of a dictionary of n features, before the first batch."""
        return cls(np.zeros((2, n)), np.zeros((2, n)), np.zeros(2, np.int64), np.zeros((2, n), np.int64), np.zeros(2, np.int64))

    @property
    def n(self) -> int:
        """Width of the dictionary."""
        return self.total.shape[1]

    def add(self, pooled: Pooled, aligned: Bool[np.ndarray, " B"]) -> None:
        """Take in a batch, each example in its class; those without tokens (filler rows) count for nothing."""
        value, units = np.asarray(pooled.value, np.float64), np.asarray(pooled.units)
        value = np.where(units[:, None] > 0, value, 0)
        # squared here rather than on the device, where float32 would leave nothing of a small variance
        squares = value**2 if pooled.squares is None else np.asarray(pooled.squares, np.float64)
        for row, mine in ((ALIGNED, np.asarray(aligned, bool)), (UNALIGNED, ~np.asarray(aligned, bool))):
            self.total[row] += value[mine].sum(axis=0)
            self.squares[row] += squares[mine].sum(axis=0)
            self.units[row] += units[mine].sum()
            self.fired[row] += np.asarray(pooled.fired)[mine].sum(axis=0)
            self.tokens[row] += np.asarray(pooled.tokens)[mine].sum()

    def __add__(self, other: "ClassSums") -> "ClassSums":
        """The sums of both, as of two processes that saw different examples."""
        return ClassSums(*(getattr(self, name) + getattr(other, name) for name in vars(self)))

    def check(self) -> None:
        """Raise `InputError` where a class has no units or an activation was not finite."""
        for row, name in ((ALIGNED, "aligned"), (UNALIGNED, "unaligned")):
            if not self.units[row]:
                raise InputError(f"pairs: no {name} response with a token that counts; both classes are needed")
        bad = np.flatnonzero(~np.isfinite(self.squares).all(axis=0))
        if bad.size:
            raise InputError(f"feature selection: activations of feature {bad[0]} are not finite ({bad.size} features in all)")

    @property
    def means(self) -> Float[np.ndarray, "2 n"]:
        """Class means."""
        return self.total / self.units[:, None]

    @property
    def difference(self) -> Float[np.ndarray, " n"]:
        """Aligned mean minus unaligned mean; Δ is its size."""
        means = self.means
        return means[ALIGNED] - means[UNALIGNED]

    @property
    def densities(self) -> Float[np.ndarray, "2 n"]:
        """Share of each class's tokens on which a feature fires."""
        return self.fired / self.tokens[:, None]

    @property
    def density(self) -> Float[np.ndarray, " n"]:
        """Share of all tokens on which a feature fires."""
        return self.fired.sum(axis=0) / self.tokens.sum()

    @property
    def variances(self) -> Float[np.ndarray, "2 n"]:
        """Unbiased class variances; NaN for a class of one unit."""
        mean_squares = self.squares / self.units[:, None]
        spread = mean_squares - self.means**2
        spread = np.where(spread > NO_SPREAD * mean_squares, spread, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return spread * (self.units / (self.units - 1))[:, None]

    @property
    def welch(self) -> Float[np.ndarray, " n"]:
        """Welch's t of aligned against unaligned: 0 for equal means, ±∞ where nothing varies, NaN with one unit in a class."""
        error = np.sqrt((self.variances / self.units[:, None]).sum(axis=0))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.difference == 0, np.where(np.isnan(error), np.nan, 0.0), self.difference / error)
