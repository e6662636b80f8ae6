"""Sparsification and noise: what is done to entries, by hand in float64, and draws that belong to seed and matrix alone."""

import itertools

import ml_dtypes
import numpy as np
import pytest
from matrices import OnZero, decomposed, distance, gaussian, truth, with_spectrum

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral import Level, Reconstructor, divide, load, plan_levels, save

S = np.geomspace(4, 0.25, 48)
MADE = OnZero(with_spectrum(S, 80, 48))
BASE = {"a/kernel": gaussian(3, 60 * 48, 1, 0.02).reshape(3, 60, 48), "b/kernel": gaussian(48, 90, 2, 0.02)}
FT = {path: leaf + gaussian(1, leaf.size, 3).reshape(leaf.shape) for path, leaf in BASE.items()}
DECOMPOSITION = decomposed(BASE, FT)
SPARSE, NOISY = Level("sparsify", param=0.3, seed=1), Level("noise", k=6, seed=1)


def sparse(share: float, seed: int = 0) -> np.ndarray:
    return MADE.cut("sparsify", param=share, seed=seed)


def noise(k: int, seed: int = 0) -> np.ndarray:
    """What noise at k adds to the k leading components."""
    return MADE.cut("noise", k, seed=seed) - truth(MADE.update, np.arange(k))


def bits(rebuild: Reconstructor, level: Level) -> dict[str, bytes]:
    return {name: weights.tobytes() for name, weights in rebuild.weights(level).matrices.items()}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_entry_is_dropped_or_kept_and_rescaled(share):
    found = sparse(share)
    kept = found != 0
    np.testing.assert_allclose(found[kept], MADE.update[kept] / share, rtol=3e-7)
    assert abs(kept.mean() - share) < 4.5 * (share * (1 - share) / kept.size) ** 0.5


def test_over_draws_the_mean_is_the_update_and_the_variance_that_of_a_coin():
    share, draws = 0.25, 2000
    small = OnZero(gaussian(8, 6, 4), name="small")
    found = np.stack([small.cut("sparsify", param=share, seed=seed) for seed in range(draws)]).astype(np.float64)
    wanted = small.update.astype(np.float64)
    error = np.abs(wanted) * ((1 / share - 1) / draws) ** 0.5
    assert np.abs((found.mean(axis=0) - wanted) / error).max() < 4.5
    variances = found.var(axis=0) / (wanted**2 * (1 / share - 1))
    # kurtosis of a coin of probability 1/4: 2.33; so the variance over 2,000 draws is good to 2.6 %
    assert np.abs(variances - 1).max() < 4.5 * 0.026


def test_entries_are_dropped_independently_of_their_neighbours():
    kept = np.stack([sparse(0.5, seed) != 0 for seed in range(40)]).astype(float) - 0.5
    for shift in ((1, 0), (0, 1), (1, 1)):
        neighbours = kept * np.roll(kept, shift, axis=(1, 2)) * 4
        assert abs(neighbours.mean()) < 4.5 / neighbours.size**0.5


def test_what_a_small_share_keeps_a_larger_one_keeps_too():
    kept = [sparse(share, 3) != 0 for share in (0.01, 0.1, 0.4, 0.41, 0.9)]
    for fewer, more in itertools.pairwise(kept):
        assert np.all(fewer <= more) and fewer.sum() < more.sum()


def test_a_dropped_entry_is_that_of_the_base_bit_for_bit():
    weights = Reconstructor(DECOMPOSITION, BASE, FT).weights(SPARSE).leaves["b/kernel"]
    same = weights == BASE["b/kernel"]
    assert same.mean() == pytest.approx(0.7, abs=0.03)
    moved = (weights.astype(np.float64) - BASE["b/kernel"])[~same]
    np.testing.assert_allclose(moved, (FT["b/kernel"].astype(np.float64) - BASE["b/kernel"])[~same] / 0.3, atol=2e-8)


@pytest.mark.parametrize("k", [0, 1, 7, 24, 47])
def test_the_noise_has_the_norm_of_the_removed_tail(k):
    tail = np.linalg.norm(truth(MADE.update, np.arange(k, 48)))
    assert np.linalg.norm(noise(k)) == pytest.approx(tail, rel=1e-5)


def test_the_noise_is_gaussian_and_knows_nothing_of_the_update():
    from scipy import stats

    drawn = np.concatenate([noise(3, seed).ravel() for seed in range(5)])
    assert stats.kstest(drawn / drawn.std(), "norm").pvalue > 0.01 and abs(drawn.mean()) < 4.5 * drawn.std() / drawn.size**0.5
    cosines = [np.vdot(noise(3, seed), MADE.update) / np.linalg.norm(noise(3, seed)) / np.linalg.norm(MADE.update)
               for seed in range(20)]
    assert np.abs(cosines).max() < 4.5 / MADE.update.size**0.5


def test_the_draw_does_not_depend_on_k():
    one, other = noise(3, 2), noise(30, 2)
    assert distance(one / np.linalg.norm(one), other / np.linalg.norm(other)) < 1e-4


@pytest.mark.parametrize("k", [48, 60])
def test_nothing_is_added_where_nothing_was_removed(k):
    np.testing.assert_array_equal(MADE.cut("noise", k, seed=0), MADE.update)


@pytest.mark.parametrize(("share", "tree"), [(0.0, BASE), (1.0, FT)])
def test_both_ends_of_sparsification_are_the_checkpoints(share, tree):
    found = Reconstructor(DECOMPOSITION, BASE, FT).weights(Level("sparsify", param=share, seed=2)).leaves
    for path, leaf in tree.items():
        np.testing.assert_array_equal(found[path], leaf)


@pytest.mark.parametrize("level", [SPARSE, NOISY], ids=str)
def test_draws_belong_to_seed_and_name_and_not_to_the_tree(level):
    alike = dict.fromkeys(("x/kernel", "y/kernel", "z/kernel"), MADE.update)
    zero = {path: np.zeros_like(MADE.update) for path in alike}
    found = [bits(Reconstructor(decomposed(zero, tree), zero, tree), level) for tree in (alike, dict(reversed(alike.items())))]
    alone = [{"y/kernel": tree["y/kernel"]} for tree in (zero, alike)]
    assert found[0] == found[1] and len(set(found[0].values())) == 3
    assert bits(Reconstructor(decomposed(*alone), *alone), level)["y/kernel"] == found[0]["y/kernel"]


def test_seeds_draw_differently():
    assert len({sparse(0.5, seed).tobytes() for seed in range(6)}) == len({noise(5, seed).tobytes() for seed in range(6)}) == 6


def test_the_draws_are_pinned():
    """Another machine, another version: the same draw. A change of these numbers changes what records mean."""
    ones = OnZero(with_spectrum(np.array([3.0, 2.0, 1.0]), 4, 3), name="a/kernel")
    kept = ones.cut("sparsify", param=0.5, seed=0) != 0
    assert kept.astype(int).tolist() == [[1, 1, 0], [1, 0, 1], [0, 0, 1], [1, 0, 0]]
    drawn = ones.cut("noise", 0, seed=0)
    np.testing.assert_allclose(drawn[0] / np.linalg.norm(drawn), [0.253042, 0.372946, 0.492905], rtol=1e-4)


@pytest.mark.parametrize("ranks", [[0, 1, 2, 4, 8, 16, 48], [3, 5, 31, 33, 47], [47, 9]], ids=str)
def test_a_sweep_and_a_fresh_start_at_that_level_alone_give_the_same_bits(ranks, tmp_path):
    save(DECOMPOSITION, tmp_path)
    sweep, stored = Reconstructor(DECOMPOSITION, BASE, FT), load(tmp_path)
    for level in plan_levels(DECOMPOSITION, ["top_k", "noise", "sparsify"], ranks, seeds=(0, 1)):
        assert bits(sweep, level) == bits(Reconstructor(stored, BASE, FT), level), level


@pytest.mark.parametrize("level", [SPARSE, NOISY], ids=str)
def test_several_processes_together_have_the_whole(level):
    whole, refs = bits(Reconstructor(DECOMPOSITION, BASE, FT), level), [svd.ref for svd in DECOMPOSITION.matrices.values()]
    found = {}
    for share in divide(refs, 2):
        found |= bits(Reconstructor(DECOMPOSITION, BASE, FT, only=share.__contains__), level)
    assert found == whole


@pytest.mark.parametrize("level", [SPARSE, NOISY], ids=str)
def test_roundoff_is_measured_against_what_was_removed_and_kept(level):
    weights = Reconstructor(DECOMPOSITION, BASE, FT).weights(level)
    ratios, deltas = [], []
    for base, ft, w in [(BASE["b/kernel"], FT["b/kernel"], weights.leaves["b/kernel"]),
                        *zip(BASE["a/kernel"], FT["a/kernel"], weights.leaves["a/kernel"], strict=True)]:
        error = np.linalg.norm(w.astype(ml_dtypes.bfloat16).astype(np.float64) - w)
        ratios.append(error / np.linalg.norm(ft.astype(np.float64) - w))
        deltas.append(error / np.linalg.norm(w.astype(np.float64) - base))
    found = weights.roundoff(ml_dtypes.bfloat16)
    assert found["ratio"] == pytest.approx({"median": np.median(ratios), "max": max(ratios)}, rel=0.05)
    assert found["delta"] == pytest.approx({"median": np.median(deltas), "max": max(deltas)}, rel=0.05)
    assert weights.roundoff("float32") == {"ratio": {"median": 0, "max": 0}, "delta": {"median": 0, "max": 0}}
    assert weights.max_norm_factor is None


@pytest.mark.parametrize("level", [SPARSE, NOISY], ids=str)
def test_there_is_no_adapter_of_full_rank(level):
    with pytest.raises(InputError, match=f"operator {level.operator}: .* full rank .* --format hf"):
        Reconstructor(DECOMPOSITION, BASE, FT).factors(level)


@pytest.mark.parametrize(("level", "words"), [
    (Level("sparsify", param=0.3), "seed"), (Level("noise", k=3), "seed"), (Level("sparsify", k=3, seed=0), "a parameter"),
    (Level("sparsify", param=1.2, seed=0), r"\[0, 1\]"), (Level("noise", k=3, seed=0, scope="global"), "scope"),
    (Level("noise", k=3, seed=0, norm_matched=True), "not matched to the norm"),
    (Level("flatten_k", k=3, norm_matched=True), "these are: bottom_k, drop_top_k, random_k, interpolate")], ids=str)
def test_a_level_that_makes_no_sense_is_refused(level, words):
    with pytest.raises(InputError, match=words):
        Reconstructor(DECOMPOSITION, BASE, FT).weights(level)


def test_a_sweep_visits_every_share_and_rank_with_every_seed():
    levels = plan_levels(DECOMPOSITION, ["sparsify", "noise"], [2, 5], seeds=(4, 1), match_norm=True)
    assert {(level.param, level.seed) for level in levels if level.operator == "sparsify"} == {
        (share, seed) for share in (0.1, 0.25, 0.5, 0.75) for seed in (1, 4)}
    assert [(level.k, level.seed) for level in levels if level.operator == "noise"] == [(2, 1), (2, 4), (5, 1), (5, 4)]
    assert not any(level.norm_matched for level in levels)
    assert {level.param for level in plan_levels(DECOMPOSITION, ["sparsify"], fractions=(0.2, 0.7))} == {0.2, 0.7}


def test_flatten_k_needs_no_norm_matching():
    for k in (1, 5, 40):
        assert np.linalg.norm(MADE.cut("flatten_k", k)) == pytest.approx(np.linalg.norm(MADE.cut("top_k", k)), rel=1e-6)
