"""Could labels at random have given such differences? A permutation test that streams: the draws are made before the examples.

Whole examples keep their pooled activations and exchange labels, so that tokens of one response stay together.
"""

import numpy as np
from jaxtyping import Bool, Float

from jaxtrunc.sae.selection.pooling import Pooled

DRAWS = 200
ROUNDING = 1e-12


class LabelPermutations:
    """Class sums under `draws` random labellings with the same class sizes; add the batches in whatever order they come.

    Holds draws × n numbers in float64, and no activation.

    Args:
      aligned: the true label of every example that will come.
      n: width of the dictionary.
    """

    def __init__(self, aligned: Bool[np.ndarray, " E"], n: int, draws: int = DRAWS, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._labels = np.stack([rng.permutation(np.asarray(aligned, bool)) for _ in range(draws)]).astype(np.float64)
        self._aligned, self._whole = np.zeros((draws, n)), np.zeros(n)
        self._aligned_units, self._whole_units = np.zeros(draws), 0.0
        self._position = 0

    def add(self, pooled: Pooled) -> None:
        """Take in the next examples; rows without tokens (filler) are passed over."""
        real = np.asarray(pooled.units) > 0
        units, value = np.asarray(pooled.units, np.float64)[real], np.asarray(pooled.value, np.float64)[real]
        labels = self._labels[:, self._position : self._position + len(units)]
        if labels.shape[1] < len(units):
            raise ValueError(f"more examples than the {self._labels.shape[1]} that were announced")
        self._aligned += labels @ value
        self._aligned_units += labels @ units
        self._whole += value.sum(axis=0)
        self._whole_units += units.sum()
        self._position += len(units)

    def p_values(self, difference: Float[np.ndarray, " n"]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """P-values of |difference of the class means|: of each feature alone, and of each against the largest of all features.

        The second controls the chance of any false feature (Westfall and Young's max statistic). The least possible value is
        1/(draws + 1), for the true labelling is one of the possible ones.
        """
        others = self._whole_units - self._aligned_units
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = np.abs(self._aligned / self._aligned_units[:, None] - (self._whole - self._aligned) / others[:, None])
        seen = np.abs(difference) * (1 - ROUNDING)
        highest = np.sort(drawn.max(axis=1))
        above = len(highest) - np.searchsorted(highest, seen)
        return (1 + (drawn >= seen).sum(axis=0)) / (len(drawn) + 1), (1 + above) / (len(drawn) + 1)
