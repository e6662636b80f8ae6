"""A level rebuilt by several: each holds its share of the matrices, with the bits that one alone would give them."""

import itertools

import ml_dtypes
import numpy as np
import pytest
from matrices import decomposed, gaussian

from jaxtrunc.spectral import Level, Reconstructor, divide

BASE = {"a/kernel": gaussian(5, 60 * 48, 1, 0.02).reshape(5, 60, 48), "b/kernel": gaussian(48, 90, 2, 0.02)}
FT = {path: leaf + gaussian(1, leaf.size, 3).reshape(leaf.shape) for path, leaf in BASE.items()}
DECOMPOSITION = decomposed(BASE, FT)
REFS = [svd.ref for svd in DECOMPOSITION.matrices.values()]
LEVELS = [Level("top_k", k=6), Level("drop_top_k", k=9), Level("random_k", k=5, seed=1, norm_matched=True),
          Level("interpolate", param=0.4), Level("top_k", k=0)]


def test_shares_are_disjoint_whole_and_about_equal():
    for count in (1, 2, 3, 8):
        shares = divide(REFS, count)
        assert sorted(itertools.chain(*shares), key=str) == sorted(REFS, key=str)
        assert shares == divide(REFS[::-1], count)
        loads = [sum(m * n for m, n in (ref.shape for ref in share)) for share in shares]
        assert max(loads) - min(loads) <= max(m * n for m, n in (ref.shape for ref in REFS))


@pytest.mark.parametrize("level", LEVELS, ids=str)
def test_the_shares_together_are_the_whole_bit_for_bit(level):
    whole = Reconstructor(DECOMPOSITION, BASE, FT).weights(level)
    names = set()
    for share in divide(REFS, 2):
        part = Reconstructor(DECOMPOSITION, BASE, FT, only=share.__contains__).weights(level)
        assert not part.leaves and part.max_norm_factor == whole.max_norm_factor
        assert list(part.matrices) == [ref.name for ref in REFS if ref in share]
        assert part.roundoff("float32") == whole.roundoff("float32")
        assert part.roundoff(ml_dtypes.bfloat16)["delta"] is None or part.roundoff(ml_dtypes.bfloat16)["delta"]["max"] > 0
        for name, weights in part.matrices.items():
            np.testing.assert_array_equal(weights, whole.matrices[name])
            names.add(name)
    assert names == set(whole.matrices)


def test_the_whole_by_name_is_the_whole_by_leaf():
    weights = Reconstructor(DECOMPOSITION, BASE, FT).weights(LEVELS[0])
    for index in range(5):
        assert np.shares_memory(weights.matrices[f"a/kernel.{index}"], weights.leaves["a/kernel"])
        np.testing.assert_array_equal(weights.matrices[f"a/kernel.{index}"], weights.leaves["a/kernel"][index])


def test_nothing_is_read_or_held_of_the_others():
    """Leaves that refuse every entry but one."""
    class Guarded:
        def __init__(self, leaf):
            self._leaf, self.shape = leaf, leaf.shape

        def __getitem__(self, index):
            assert index == 3
            return self._leaf[index]

    base, ft = ({"a/kernel": Guarded(tree["a/kernel"])} for tree in (BASE, FT))
    rebuild = Reconstructor(DECOMPOSITION, base, ft, only=lambda ref: ref.name == "a/kernel.3")
    for level in LEVELS:
        assert [x.shape for x in rebuild.weights(level).matrices.values()] == [(60, 48)]
    assert list(rebuild.factors(LEVELS[0])) == ["a/kernel.3"]
