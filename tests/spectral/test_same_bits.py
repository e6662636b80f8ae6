"""Criterion 6: the bits of W(k) depend on operator, k and seed alone."""

import itertools

import numpy as np
import pytest
from matrices import decomposed, gaussian

from jaxtrunc.spectral import Level, Reconstructor, load, plan_levels, save

BASE = {"a/kernel": gaussian(2, 72 * 60, 1, 0.02).reshape(2, 72, 60), "b/kernel": gaussian(60, 90, 2, 0.02)}
FT = {path: leaf + gaussian(1, leaf.size, 3).reshape(leaf.shape) for path, leaf in BASE.items()}
OPERATORS = ("top_k", "bottom_k", "drop_top_k", "random_k", "flatten_k", "interpolate")
DECOMPOSITION = decomposed(BASE, FT)


def at(level: Level) -> dict[str, bytes]:
    """The weights of a level from a fresh start."""
    return bits(Reconstructor(DECOMPOSITION, BASE, FT), level)


def bits(rebuild: Reconstructor, level: Level) -> dict[str, bytes]:
    return {path: leaf.tobytes() for path, leaf in rebuild.weights(level).leaves.items()}


def levels(ranks) -> list[Level]:
    return plan_levels(DECOMPOSITION, OPERATORS, ranks, seeds=(0, 1), match_norm=True)


@pytest.mark.parametrize("ranks", [[0, 1, 2, 4, 8, 16, 32, 60], [3, 4, 5, 31, 33, 47, 58, 59], [59, 7, 1]], ids=str)
def test_a_sweep_and_a_fresh_start_at_that_level_alone_agree(ranks):
    rebuild = Reconstructor(DECOMPOSITION, BASE, FT)
    for level in levels(ranks):
        assert bits(rebuild, level) == at(level), level


def test_two_rank_lists_agree_where_they_meet():
    sparse, dense = Reconstructor(DECOMPOSITION, BASE, FT), Reconstructor(DECOMPOSITION, BASE, FT)
    shared = {level: bits(sparse, level) for level in levels([5, 33])}
    for level in levels(range(1, 60)):
        found = bits(dense, level)
        assert shared.pop(level, found) == found
    assert not shared


def test_any_order_gives_the_same_bits():
    chosen = [Level("top_k", k=5), Level("top_k", k=48), Level("random_k", k=9, seed=1), Level("drop_top_k", k=9),
              Level("bottom_k", k=6)]
    expected = {level: at(level) for level in chosen}
    for order in itertools.islice(itertools.permutations(chosen), 0, 120, 7):
        rebuild = Reconstructor(DECOMPOSITION, BASE, FT)
        for level in order:
            assert bits(rebuild, level) == expected[level]


def test_a_stored_decomposition_gives_the_same_bits(tmp_path):
    save(DECOMPOSITION, tmp_path)
    rebuild = Reconstructor(load(tmp_path), BASE, FT)
    for level in levels([6, 48]):
        assert bits(rebuild, level) == at(level)


def test_the_number_of_threads_does_not_matter():
    one = decomposed(BASE, FT, workers=1)
    for name, svd in DECOMPOSITION.matrices.items():
        np.testing.assert_array_equal(svd.s, one.matrices[name].s)
        np.testing.assert_array_equal(svd.basis, one.matrices[name].basis)


@pytest.mark.parametrize("level", [Level("top_k", k=6), Level("random_k", k=6, seed=0), Level("flatten_k", k=6),
                                   Level("bottom_k", k=6, norm_matched=True)], ids=str)
def test_an_export_holds_the_same_update(level):
    """Factors are a product still to be made, so they agree with W(k) to rounding."""
    rebuild = Reconstructor(DECOMPOSITION, BASE, FT)
    weights = rebuild.weights(level).leaves
    for name, (a, b) in rebuild.factors(level).items():
        ref = DECOMPOSITION.matrices[name].ref
        base = BASE[ref.path] if ref.path == "b/kernel" else BASE[ref.path][ref.index]
        found = weights[ref.path] if ref.path == "b/kernel" else weights[ref.path][ref.index]
        assert a.dtype == b.dtype == np.float32 and a.shape[0] == b.shape[1] == 6
        update = (b.astype(np.float64) @ a).T
        assert np.linalg.norm(base + update - found) < 1e-5 * np.linalg.norm(update)


def test_slicing_the_export_of_rank_k_gives_every_smaller_rank():
    rebuild = Reconstructor(DECOMPOSITION, BASE, FT)
    large, small = rebuild.factors(Level("top_k", k=12)), rebuild.factors(Level("top_k", k=5))
    for name, (a, b) in small.items():
        np.testing.assert_array_equal(a, large[name][0][:5])
        np.testing.assert_array_equal(b, large[name][1][:, :5])
