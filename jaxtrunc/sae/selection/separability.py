"""How well a linear rule on the activations tells the classes apart in examples that it has not seen; a way to compare sites.

The rule is the linear discriminant with a diagonal covariance (the independence rule, Bickel and Levina 2004), which class sums
are enough for. Every example is first asked about and then added to the sums, so that one pass over the examples does both.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool

from jaxtrunc.sae.selection.pooling import Pooled
from jaxtrunc.sae.selection.sums import ALIGNED, UNALIGNED, ClassSums

LEAST = 8  # examples of each class before the first question


@dataclass(eq=False)
class Separability:
    """Right and all answers for held-out examples.

    Attributes:
      right, asked: (2,) counts of the aligned and the unaligned class.
    """

    right: np.ndarray = field(default_factory=lambda: np.zeros(2, np.int64))
    asked: np.ndarray = field(default_factory=lambda: np.zeros(2, np.int64))

    def ask(self, sums: ClassSums, pooled: Pooled, aligned: Bool[np.ndarray, " B"]) -> None:
        """Count what the rule of the examples seen so far says of a batch; call before the batch is added to `sums`."""
        if sums.units.min() < LEAST:
            return
        units = np.asarray(pooled.units)
        value = np.asarray(pooled.value, np.float64) / np.maximum(units, 1)[:, None]  # with pooling `all` the mean over tokens
        said = (value - sums.means.mean(axis=0)) @ _weights(sums) > 0
        for row, mine in ((ALIGNED, np.asarray(aligned, bool)), (UNALIGNED, ~np.asarray(aligned, bool))):
            mine = mine & (units > 0)
            self.right[row] += np.sum(said[mine] == (row == ALIGNED))
            self.asked[row] += mine.sum()

    @property
    def accuracy(self) -> float | None:
        """Balanced accuracy on held-out examples, 0.5 for chance; None if a class was never asked about."""
        return float((self.right / self.asked).mean()) if self.asked.min() else None


def _weights(sums: ClassSums) -> np.ndarray:
    """Difference of the class means over the mean of the class variances; 0 for a feature that does not vary."""
    spread = sums.variances.mean(axis=0)
    return np.divide(sums.difference, spread, out=np.zeros(sums.n), where=spread > 0)
