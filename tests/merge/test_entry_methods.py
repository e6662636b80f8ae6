"""Trimming, dropping and voting, entry by entry."""

import itertools

import numpy as np
import ports
import pytest

from jaxtrunc.core.errors import InputError
from jaxtrunc.merge import METHODS, merge
from jaxtrunc.merge.trim import Magnitudes, trim_all, trim_tensor


def update(method, taus, **settings):
    """What a method adds to a base of zeros, one tensor each."""
    return merge({"a": np.zeros_like(taus[0])}, [{"a": tau} for tau in taus], method, **settings)["a"]


def of(values):
    """Magnitudes of a task vector over zeros."""
    return Magnitudes(np.zeros_like(values), values)


def kept(trim, values, parts=3):
    """The entries that a trim keeps, asked for part by part."""
    edges = np.linspace(0, values.size, parts + 1).astype(int)
    return np.concatenate([trim.keeps(values[a:b], a) for a, b in itertools.pairwise(edges)])


@pytest.mark.parametrize("density", [0.001, 0.1, 0.5, 0.77, 1.0])
@pytest.mark.parametrize("kinds", [3, 50, 10**6])
def test_trimming_keeps_exactly_so_many_and_of_equals_the_first(density, kinds):
    values = np.random.default_rng(0).integers(0, kinds, 500).astype(np.float32)
    count = max(1, int(density * values.size))
    expected = np.zeros(values.size, bool)
    expected[np.argsort(-values, kind="stable")[:count]] = True
    chosen = kept(trim_tensor(of(values), density), values)
    np.testing.assert_array_equal(chosen & (values > 0), expected & (values > 0))


@pytest.mark.parametrize("density", [0.003, 0.2, 0.9])
def test_one_threshold_over_several_tensors(density):
    rng = np.random.default_rng(0)
    tensors = {name: np.abs(np.round(rng.standard_normal(size), 1)).astype(np.float32) for name, size in (("a", 300), ("b", 700))}
    trims = trim_all(lambda: ((name, of(values)) for name, values in tensors.items()), density)
    whole = np.concatenate(list(tensors.values()))
    expected = kept(trim_tensor(of(whole), density), whole)
    chosen = np.concatenate([kept(trims[name], values) for name, values in tensors.items()])
    np.testing.assert_array_equal(chosen & (whole > 0), expected & (whole > 0))


def test_ties_equals_its_port():
    taus = list(np.random.default_rng(0).integers(-4, 5, (3, 9, 7)).astype(np.float32))  # with many equal magnitudes
    weights, densities = (0.5, 0.25, 1.0), (0.3, 0.5, 0.8)  # sums of exactly zero are zero in float32 too
    found = update("ties", taus, weights=weights, density=densities, lam=0.5)
    np.testing.assert_allclose(found, 0.5 * ports.ties(taus, densities, weights), rtol=1e-6, atol=1e-7)


def test_global_scope_lets_large_task_vectors_win():
    trees = [{"large": np.full(10, 5.0, np.float32), "small": np.linspace(0.1, 1, 30, dtype=np.float32)}]
    base = {name: np.zeros_like(array) for name, array in trees[0].items()}
    found = merge(base, trees, "ties", density=0.3, scope="global")
    assert np.count_nonzero(found["large"]) == 10 and np.flatnonzero(found["small"]).tolist() == [28, 29]
    found = merge(base, trees, "ties", density=0.3)
    assert np.count_nonzero(found["large"]) == 3 and np.count_nonzero(found["small"]) == 9


def test_soup_and_task_arithmetic():
    taus = list(np.random.default_rng(0).standard_normal((2, 5, 4)).astype(np.float32))
    np.testing.assert_allclose(merge(None, [{"a": tau} for tau in taus], "soup")["a"], (taus[0] + taus[1]) / 2, rtol=1e-6)
    np.testing.assert_allclose(update("linear", taus, weights=(1, 3)), (taus[0] + 3 * taus[1]) / 4, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(update("linear", taus, weights=(1, 3), normalize=False), taus[0] + 3 * taus[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(update("task_arithmetic", taus, weights=(0.7, 0.4), lam=0.5), 0.35 * taus[0] + 0.2 * taus[1],
                               rtol=1e-5, atol=1e-6)


def test_dare_keeps_its_share_and_its_mean():
    """Within five standard errors of a binomial share, and of the mean over seeds."""
    tau, density, seeds = np.full((300, 300), 2.0, np.float32), 0.3, range(20)
    found = [update("dare", [tau], density=density, seed=seed) for seed in seeds]
    shares = np.array([np.mean(one != 0) for one in found])
    error = (density * (1 - density) / tau.size) ** 0.5
    assert np.abs(shares - density).max() < 5 * error and len(set(shares)) > 10
    assert np.mean(found) == pytest.approx(2, abs=5 * 2 * error / density / len(found) ** 0.5)
    np.testing.assert_allclose(found[0][found[0] != 0], 2 / density, rtol=1e-6)


@pytest.mark.parametrize("method", ["dare_linear", "dare_ties"])
def test_dare_draws_by_seed_tensor_and_model(method):
    tau = np.ones((40, 40), np.float32)
    found = update(method, [tau], density=0.3, seed=1)
    np.testing.assert_array_equal(found, update(method, [tau], density=0.3, seed=1))
    assert (found != update(method, [tau], density=0.3, seed=2)).any()
    masks = merge({"a": 0 * tau, "b": 0 * tau}, [{"a": tau, "b": tau}, {"a": 3 * tau, "b": 3 * tau}], "dare_linear", density=0.5)
    assert (masks["a"] != masks["b"]).any() and len(np.unique(masks["a"])) == 4  # two models, masks of their own


def test_ties_after_dare_sums_those_who_agree():
    taus = [np.full((3, 3), value, np.float32) for value in (2.0, 1.0, -1.0)]
    np.testing.assert_allclose(update("dare_ties", taus), 3.0)
    np.testing.assert_allclose(update("ties", taus), 1.5)


def test_sums_are_float32_and_cast_once():
    import ml_dtypes

    thetas = list(np.random.default_rng(0).standard_normal((3, 8, 8)).astype(ml_dtypes.bfloat16))
    found = merge(None, [{"a": theta} for theta in thetas], "linear")["a"]
    assert found.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(found, np.mean([theta.astype(np.float64) for theta in thetas], 0).astype(ml_dtypes.bfloat16))


@pytest.mark.parametrize(("changes", "words"), [
    ({"method": "tie"}, "did you mean 'ties'"), ({"density": 0.0}, "density"), ({"density": 1.5}, "density"),
    ({"method": "orthogonal", "rank": 0}, "at least 1"), ({"method": "orthogonal", "rank": 1.2}, "rank"),
    ({"weights": (1.0, 2.0)}, "one per model"), ({"lam": np.inf}, "lambda"), ({"exclude": "("}, "exclude"),
])
def test_values_that_make_no_sense_are_refused(changes, words):
    tree = {"kernel": np.ones((3, 3), np.float32)}
    with pytest.raises(InputError, match=words):
        merge(tree, [tree], **{"method": "ties"} | changes)


def test_weights_that_cancel_but_for_rounding_are_refused():
    tree = {"a": np.ones(3, np.float32)}
    with pytest.raises(InputError, match="add up to 0"):
        merge(None, [tree] * 3, "linear", weights=(0.1, 0.2, -0.3))


def test_trees_that_differ_and_broken_values_are_refused():
    tree = {"a": np.ones(3, np.float32)}
    with pytest.raises(InputError, match="needs the base"):
        merge(None, [tree], "ties")
    with pytest.raises(InputError, match="shape"):
        merge(tree, [{"a": np.ones(4)}], "ties")
    with pytest.raises(InputError, match="b: not in every tree"):
        merge(tree, [tree | {"b": np.ones(3)}], "ties")
    with pytest.raises(InputError, match="int32"):
        merge(tree, [{"a": np.ones(3, np.int32)}], "ties")


@pytest.mark.parametrize("method", ["linear", "task_arithmetic", "ties", "dare_linear", "dare_ties", "tsv_merge", "knots_ties"])
def test_values_that_are_not_finite_are_refused(method):
    """Also where trimming, a vote or a mask would have dropped them."""
    tree = {"a": np.ones((3, 3), np.float32), "b": np.ones((3, 3), np.float32)}
    for value in (np.nan, np.inf):
        broken = {"a": tree["a"], "b": np.where(np.eye(3), value, 2).astype(np.float32)}
        with pytest.raises(InputError, match="NaN or infinite"):
            merge(tree, [tree, broken], method, density=0.3 if METHODS[method].uses & {"density"} else 1.0)
