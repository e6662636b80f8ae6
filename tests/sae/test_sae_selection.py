"""Feature selection: streamed equals batch, pooling and scores equal hand computation and SciPy, and what must be refused is."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxtrunc.core.errors import InputError
from jaxtrunc.sae.selection import POOLINGS, ClassSums, LabelPermutations, Pooled, Separability, pool, select, shuffled
from jaxtrunc.sae.selection.store import read_features, write_features

N = 12
POOL = jax.jit(pool, static_argnames="mode")


def responses(count: int = 30, longest: int = 9, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sparse activations (B, T, n), a mask with holes, labels; features 3 and 7 differ between the classes."""
    rng = np.random.default_rng(seed)
    a = np.maximum(rng.normal(-0.5, 1, (count, longest, N)), 0)
    aligned = np.arange(count) % 3 > 0
    a[aligned, :, 3] += 2
    a[~aligned, :, 7] += 1
    mask = rng.random((count, longest)) < 0.6
    mask[:, 2] = True
    return a.astype(np.float32), mask, aligned


def sums_of(a: np.ndarray, mask: np.ndarray, aligned: np.ndarray, mode: str = "mean", chunk: int = 30) -> ClassSums:
    sums = ClassSums.empty(N)
    for start in range(0, len(a), chunk):
        rows = slice(start, start + chunk)
        sums.add(POOL(a[rows], mask[rows], mode=mode), aligned[rows])
    return sums


def pooled_by_hand(a: np.ndarray, mask: np.ndarray, mode: str) -> np.ndarray:
    """One row per unit."""
    kept = [example[inside].astype(np.float64) for example, inside in zip(a, mask, strict=True)]
    by = {"mean": lambda x: x.mean(axis=0), "last": lambda x: x[-1], "max": lambda x: x.max(axis=0)}
    return np.concatenate(kept) if mode == "all" else np.stack([by[mode](example) for example in kept])


@pytest.mark.parametrize("mode", POOLINGS)
def test_pooling_and_sums_equal_hand_computation(mode):
    a, mask, aligned = responses()
    sums = sums_of(np.where(mask[..., None], a, np.nan), mask, aligned, mode)  # what is outside the mask is never looked at
    for row, mine in ((0, aligned), (1, ~aligned)):
        units = pooled_by_hand(a[mine], mask[mine], mode)
        tokens = pooled_by_hand(a[mine], mask[mine], "all")
        assert sums.units[row] == len(units) and sums.tokens[row] == len(tokens)
        np.testing.assert_allclose(sums.means[row], units.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(sums.variances[row], units.var(axis=0, ddof=1), rtol=1e-5)
        np.testing.assert_array_equal(sums.fired[row], (tokens > 0).sum(axis=0))
        np.testing.assert_allclose(sums.densities[row], (tokens > 0).mean(axis=0))


@pytest.mark.parametrize("mode", POOLINGS)
@pytest.mark.parametrize("chunk", [1, 10])
def test_streaming_equals_batch(mode, chunk):
    a, mask, aligned = responses()
    whole, streamed = sums_of(a, mask, aligned, mode), sums_of(a, mask, aligned, mode, chunk)
    np.testing.assert_allclose(streamed.means, whole.means, rtol=1e-6)
    np.testing.assert_allclose(streamed.squares, whole.squares, rtol=1e-6)
    slack = 1e-6 * np.abs(whole.means).sum(axis=0)
    assert (np.abs(np.abs(streamed.difference) - np.abs(whole.difference)) <= slack).all()
    halves = sums_of(a[:11], mask[:11], aligned[:11], mode) + sums_of(a[11:], mask[11:], aligned[11:], mode)
    np.testing.assert_allclose(halves.means, whole.means, rtol=1e-6)


def test_small_variances_survive_large_means_and_many_examples():
    rng = np.random.default_rng(4)
    values = (1000 + 0.01 * rng.standard_normal((4000, N))).astype(np.float32)
    aligned = np.arange(4000) % 2 == 0
    sums, ones = ClassSums.empty(N), np.ones(40, np.int32)
    for start in range(0, 4000, 40):
        sums.add(Pooled(values[start : start + 40], None, ones, np.ones((40, N), np.int32), ones), aligned[start : start + 40])
    np.testing.assert_allclose(sums.variances[0], values[aligned].astype(np.float64).var(axis=0, ddof=1), rtol=1e-5)
    constant = ClassSums.empty(N)
    constant.add(Pooled(np.full((7, N), 0.1, np.float32), None, ones[:7], np.ones((7, N), np.int32), ones[:7]), np.arange(7) < 3)
    assert (constant.variances == 0).all() and (constant.welch == 0).all()


@partial(jax.jit, static_argnames="mode")
def encoded_and_pooled(x: jax.Array, w: jax.Array, mask: jax.Array, mode: str = "mean") -> Pooled:
    return pool(jax.nn.relu(x @ w), mask, mode)


def test_through_an_encoder_any_chunking_gives_the_same_means():
    rng = np.random.default_rng(5)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((30, 9, 16), (16, N)))
    _, mask, aligned = responses()
    found = []
    for chunk in (1, 4, 30):
        sums = ClassSums.empty(N)
        for start in range(0, 30, chunk):
            rows = slice(start, start + chunk)
            sums.add(encoded_and_pooled(jnp.asarray(x[rows]), jnp.asarray(w), jnp.asarray(mask[rows])), aligned[rows])
        found.append(sums.means)
    np.testing.assert_allclose(found[0], found[2], rtol=1e-4)
    np.testing.assert_allclose(found[1], found[2], rtol=1e-4)


def test_filler_rows_count_for_nothing():
    a, mask, aligned = responses()
    filled = np.concatenate([a, np.full((2, 9, N), np.nan, np.float32)])
    more = sums_of(filled, np.concatenate([mask, np.zeros((2, 9), bool)]), np.append(aligned, [True, False]), "max", 32)
    np.testing.assert_allclose(more.means, sums_of(a, mask, aligned, "max").means, rtol=1e-12)
    assert more.units.sum() == 30


def test_scores_and_their_signs():
    a, mask, aligned = responses()
    sums = sums_of(a, mask, aligned)
    units = pooled_by_hand(a, mask, "mean")
    difference = units[aligned].mean(axis=0) - units[~aligned].mean(axis=0)
    welch = scipy.stats.ttest_ind(units[aligned], units[~aligned], equal_var=False).statistic
    delta = select(sums, budget=2)
    assert delta.index.tolist() == [3, 7] and delta.sign.tolist() == [1, -1]
    np.testing.assert_allclose(delta.delta, np.abs(difference[[3, 7]]), rtol=1e-5)
    np.testing.assert_allclose(delta.t, welch[[3, 7]], rtol=1e-5)
    signed = select(sums, score="signed", budget=N)
    assert signed.index.tolist() == np.argsort(-difference, kind="stable").tolist() and signed.index[-1] == 7
    assert select(sums, score="welch", budget=N).index.tolist() == np.argsort(-np.abs(welch), kind="stable").tolist()
    np.testing.assert_allclose(signed.mean_aligned - signed.mean_unaligned, signed.sign * signed.delta, rtol=1e-9, atol=1e-12)


def test_budget_fraction_and_density():
    a, mask, aligned = responses()
    a[:, :, 5] = 0
    sums = sums_of(a, mask, aligned)
    assert len(select(sums)) == N - 1 and 5 not in select(sums).index  # the default budget is more than there is
    assert len(select(sums, fraction=0.30)) == round(0.30 * N)
    assert len(select(sums, budget=4)) == 4
    rare = select(sums, min_density=np.sort(sums.density)[-3])
    assert len(rare) == 3
    chosen = select(sums, budget=6)
    assert chosen.kept(chosen.sign > 0).index.tolist() == [i for i, s in zip(chosen.index, chosen.sign, strict=True) if s > 0]


def test_equal_scores_go_to_the_lowest_index():
    sums = ClassSums.empty(N)
    values = np.repeat([[1.0], [0.0]], N, axis=1)
    ones = np.ones(2, np.int32)
    sums.add(Pooled(values, None, ones, np.ones((2, N), np.int32), ones), np.array([True, False]))
    assert select(sums, budget=5).index.tolist() == [0, 1, 2, 3, 4]


def test_the_shuffled_control_borrows_the_weights():
    a, mask, aligned = responses()
    a[:, :, 5] = 0
    sums = sums_of(a, mask, aligned)
    chosen = select(sums, budget=4)
    controls = [shuffled(sums, chosen, seed) for seed in range(40)]
    for control in controls:
        np.testing.assert_array_equal(control.delta, chosen.delta)
        assert len(set(control.index)) == 4 and 5 not in control.index
    assert {int(i) for control in controls for i in control.index} == set(range(N)) - {5}
    np.testing.assert_array_equal(shuffled(sums, chosen, 3).index, controls[3].index)


@pytest.mark.parametrize("mode", ["mean", "all"])
def test_permutations_tell_real_differences_from_chance(mode):
    a, mask, aligned = responses(60)
    tests = LabelPermutations(aligned, N, seed=1)
    order = np.random.default_rng(8).permutation(60)
    for start in range(0, 60, 12):  # each batch ends with three filler rows
        batch = order[start : start + 12]
        tests.add(POOL(np.pad(a[batch], ((0, 3), (0, 0), (0, 0))), np.pad(mask[batch], ((0, 3), (0, 0))), mode=mode))
    found = select(sums_of(a, mask, aligned, mode, 60), budget=N, permutations=tests)
    assert found.p is not None and found.p_max is not None
    real = np.isin(found.index, [3, 7])
    np.testing.assert_allclose(found.p_max[real], 1 / 201)
    assert (found.p_max >= found.p).all() and found.p_max[~real].min() > 0.05


def test_permutation_p_values_are_those_of_scipy():
    rng = np.random.default_rng(2)
    values, aligned = rng.standard_normal((40, N)), np.arange(40) < 20
    values[aligned, 0] += 0.5
    tests = LabelPermutations(aligned, N, draws=2000)
    ones = np.ones(40, np.int32)
    tests.add(Pooled(values, None, ones, ones[:, None], ones))
    difference = values[aligned].mean(axis=0) - values[~aligned].mean(axis=0)
    reference = scipy.stats.permutation_test((values[aligned, 0], values[~aligned, 0]), lambda x, y: abs(x.mean() - y.mean()),
                                             n_resamples=2000, alternative="greater", rng=np.random.default_rng(3))
    assert tests.p_values(difference)[0][0] == pytest.approx(reference.pvalue, abs=0.04)


def test_features_come_back_from_disk(tmp_path):
    a, mask, aligned = responses()
    sums = sums_of(a, mask, aligned)
    chosen = select(sums, budget=5)
    write_features(tmp_path / "resid_post.3", chosen, sums, {"site": "resid_post.3", "score": "delta"})
    again, sums_again, facts = read_features(tmp_path / "resid_post.3")
    assert facts["site"] == "resid_post.3" and facts["n"] == N and again.p is None
    for name in ("index", "delta", "sign", "mean_aligned", "density_unaligned", "t"):
        np.testing.assert_array_equal(getattr(again, name), getattr(chosen, name))
    np.testing.assert_array_equal(sums_again.total, sums.total)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["resid_post.3.json", "resid_post.3.npz"]


@pytest.mark.parametrize("text, message", [
    ('{"format": 9}', "format 1"), ('{"format": 1}', "'features'"), ("[]", "format 1"),
    ('{"format": 1, "features": [{"index": 99}]}', "damaged")])
def test_damaged_features_are_refused(tmp_path, text, message):
    a, mask, aligned = responses()
    sums = sums_of(a, mask, aligned)
    write_features(tmp_path / "x.0", select(sums), sums, {})
    (tmp_path / "x.0.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_features(tmp_path / "x.0")


def test_a_cut_array_file_is_refused(tmp_path):
    a, mask, aligned = responses()
    sums = sums_of(a, mask, aligned)
    write_features(tmp_path / "x.0", select(sums), sums, {})
    file = tmp_path / "x.0.npz"
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"x\.0\.npz"):
        read_features(tmp_path / "x.0")
    sums.units = np.ones(3)
    write_features(tmp_path / "x.0", select(sums_of(a, mask, aligned)), sums, {})
    with pytest.raises(InputError, match=r"array 'units' has shape \(3,\)"):
        read_features(tmp_path / "x.0")


@pytest.mark.parametrize("settings, message", [
    ({"budget": 3, "fraction": 0.3}, "exclude"), ({"budget": 0}, "at least 1"), ({"fraction": 1.5}, "at most 1"),
    ({"score": "sigend"}, "did you mean 'signed'"), ({"min_density": 2.0}, "none of 12 features")])
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        select(sums_of(*responses()), **settings)


def test_one_class_or_bad_numbers_are_refused():
    a, mask, aligned = responses()
    with pytest.raises(InputError, match="no unaligned response"):
        select(sums_of(a, mask, np.ones(30, bool)))
    a[4, 2, 6] = np.inf
    with pytest.raises(InputError, match="feature 6"):
        select(sums_of(a, mask, aligned))
    with pytest.raises(InputError, match="at least 2 examples"):
        select(sums_of(*responses(2)), score="welch")


def asked(a: np.ndarray, mask: np.ndarray, aligned: np.ndarray, mode: str, chunk: int) -> Separability:
    sums, found = ClassSums.empty(N), Separability()
    for start in range(0, len(a), chunk):
        rows = slice(start, start + chunk)
        pooled = POOL(a[rows], mask[rows], mode=mode)
        found.ask(sums, pooled, aligned[rows])
        sums.add(pooled, aligned[rows])
    return found


def test_held_out_examples_are_judged_by_those_before_them_alone():
    """Against scikit-learn's naive Bayes with one variance for both classes, fitted anew for every batch."""
    naive_bayes = pytest.importorskip("sklearn.naive_bayes")
    a, mask, aligned = responses(96)
    units, chunk, right = pooled_by_hand(a, mask, "mean"), 16, [[], []]
    for start in range(2 * chunk, 96, chunk):  # before, one class has fewer than eight
        rule = naive_bayes.GaussianNB(priors=(0.5, 0.5), var_smoothing=0).fit(units[:start], aligned[:start])
        spread = np.stack([units[:start][side].var(axis=0, ddof=1) for side in (~aligned[:start], aligned[:start])])
        rule.var_ = np.broadcast_to(spread.mean(axis=0), spread.shape)
        for said, truth in zip(rule.predict(units[start:start + chunk]), aligned[start:start + chunk], strict=True):
            right[0 if truth else 1].append(said == truth)
    found = asked(a, mask, aligned, "mean", chunk)
    assert found.right.tolist() == [sum(side) for side in right] and found.asked.tolist() == [len(side) for side in right]
    assert found.accuracy == pytest.approx(np.mean([np.mean(side) for side in right])) and found.accuracy > 0.9


def test_labels_at_random_cannot_be_told_apart():
    a, mask, _ = responses(600)
    found = asked(a, mask, np.random.default_rng(5).random(600) < 0.5, "all", 20)
    assert found.accuracy == pytest.approx(0.5, abs=0.06)
    assert asked(a[:8], mask[:8], np.arange(8) < 4, "mean", 4).accuracy is None
