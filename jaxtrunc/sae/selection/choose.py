"""The features of largest score, with everything the report says of each; and the control that borrows their Δ.

Score of the paper (SAILS, arXiv 2512.23260): Δ_i = |mean over aligned of a_i − mean over unaligned of a_i|.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from jaxtrunc.core.errors import InputError, did_you_mean
from jaxtrunc.sae.selection.permutation import LabelPermutations
from jaxtrunc.sae.selection.sums import ALIGNED, UNALIGNED, ClassSums

SCORES = ("delta", "signed", "welch")
BUDGET, PAPER_FRACTION, MIN_DENSITY = 64, 0.30, 1e-5


@dataclass(frozen=True, eq=False)
class Selection:
    """The chosen features, best first.

    Attributes:
      index: place in the dictionary.
      delta: |difference of the class means|, the weight of the feature in the subspace.
      sign: +1 where the aligned mean is larger, −1 where the unaligned one is, 0 where they agree.
      density_aligned, density_unaligned: share of the class's tokens on which the feature fires.
      t: Welch's t.
      p, p_max: of the permutation test, alone and against the largest of all features; None without a test.
    """

    index: Int[np.ndarray, " m"]
    delta: Float[np.ndarray, " m"]
    sign: Int[np.ndarray, " m"]
    mean_aligned: Float[np.ndarray, " m"]
    mean_unaligned: Float[np.ndarray, " m"]
    density_aligned: Float[np.ndarray, " m"]
    density_unaligned: Float[np.ndarray, " m"]
    t: Float[np.ndarray, " m"]
    p: Float[np.ndarray, " m"] | None = None
    p_max: Float[np.ndarray, " m"] | None = None

    def __len__(self) -> int:
        return len(self.index)

    def kept(self, which: np.ndarray) -> "Selection":
        """Those at these positions, or where this mask is set."""
        return replace(self, **{name: column[which] for name, column in vars(self).items() if column is not None})


def select(sums: ClassSums, *, score: str = "delta", budget: int | None = None, fraction: float | None = None,
           min_density: float = MIN_DENSITY, permutations: LabelPermutations | None = None) -> Selection:
    """The `budget` features of largest score, ties to the lowest index; fewer if fewer are eligible.

    Args:
      score: `delta` (the size of the difference), `signed` (how much more active in the aligned class) or `welch` (|t|).
      budget: number of features; default 64.
      fraction: instead, a share of the whole dictionary, whatever is eligible (preset `paper`: 0.30), rounded.
      min_density: features that fire on fewer of all tokens are not eligible.
      permutations: of the same examples; adds p-values.

    Raises:
      InputError: an empty class, activations that are not finite, settings out of range, or no eligible feature.
    """
    sums.check()
    count = _count(sums.n, budget, fraction)
    eligible = np.flatnonzero(sums.density >= min_density)
    if not eligible.size:
        raise InputError(f"feature selection: none of {sums.n} features fires on {min_density:g} of the tokens; "
                         "is this SAE of this site and model?")
    values = _scores(sums, score)[eligible]
    chosen = eligible[np.argsort(-values, kind="stable")[:count]]
    found = _facts(sums, chosen)
    if permutations is None:
        return found
    p, p_max = permutations.p_values(sums.difference)
    return replace(found, p=p[chosen], p_max=p_max[chosen])


def shuffled(sums: ClassSums, chosen: Selection, seed: int, min_density: float = MIN_DENSITY) -> Selection:
    """The control: as many eligible features at random, carrying the Δ of the chosen ones.

    It is what selection gives after the scores are permuted among the eligible features. Means, densities and t stay those of the
    features themselves.
    """
    eligible = np.flatnonzero(sums.density >= min_density)
    index = np.random.default_rng(seed).permutation(eligible)[: len(chosen)]
    return replace(_facts(sums, index), delta=chosen.delta)


def _count(n: int, budget: int | None, fraction: float | None) -> int:
    if budget is not None and fraction is not None:
        raise InputError("feature selection: budget and fraction exclude each other; give one")
    if fraction is not None:
        if not 0 < fraction <= 1:
            raise InputError(f"feature selection: fraction {fraction}, expected a number above 0 and at most 1")
        return max(round(fraction * n), 1)
    count = BUDGET if budget is None else budget
    if count < 1:
        raise InputError(f"feature selection: budget {count}, expected at least 1")
    return count


def _scores(sums: ClassSums, score: str) -> np.ndarray:
    if score == "delta":
        return np.abs(sums.difference)
    if score == "signed":
        return sums.difference
    if score != "welch":
        raise InputError(f"feature selection: unknown score '{score}'{did_you_mean(score, SCORES)}")
    if sums.units.min() < 2:
        raise InputError("feature selection: score welch needs at least 2 examples in each class")
    return np.abs(sums.welch)


def _facts(sums: ClassSums, index: np.ndarray) -> Selection:
    means, densities, difference = sums.means[:, index], sums.densities[:, index], sums.difference[index]
    return Selection(index=index, delta=np.abs(difference), sign=np.sign(difference).astype(np.int64),
                     mean_aligned=means[ALIGNED], mean_unaligned=means[UNALIGNED], density_aligned=densities[ALIGNED],
                     density_unaligned=densities[UNALIGNED], t=sums.welch[index])
