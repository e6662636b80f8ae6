"""Gradient combiners, by the property each was made for and by brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from pairs import gaussian

from jaxtrunc.core.errors import InputError
from jaxtrunc.steer import COMBINERS, combined, find_combiner


def draw(seed, share):
    """Two trees; `share` of f is in g (negative: conflict)."""
    f = {"a": gaussian(3, 4, seed=seed), "b": gaussian(5, seed=seed + 50)}
    g = {name: share * x + gaussian(*x.shape, seed=seed + 100) for name, x in f.items()}
    return f, g


def flat(tree):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)]).astype(np.float64)


CASES = [(seed, share) for seed in range(4) for share in (-3.0, -0.5, 0.0, 2.0)]


@pytest.mark.parametrize("seed, share", CASES)
def test_each_does_what_it_was_made_for(seed, share):
    trees = draw(seed, share)
    f, g = (flat(tree) for tree in trees)
    d = {name: flat(rule(*trees)) for name, rule in COMBINERS.items()}
    small = 1e-4 * (f @ f + g @ g)
    np.testing.assert_allclose(d["weighted_sum"], f + g, rtol=1e-6, atol=1e-6)
    assert min(d["mgda"] @ f, d["mgda"] @ g) >= -small
    shares = np.linspace(0, 1, 2001)
    lengths = [np.linalg.norm(2 * (w * f + (1 - w) * g)) for w in shares]
    assert np.linalg.norm(d["mgda"]) == pytest.approx(min(lengths), rel=1e-3)
    assert d["blur"] @ f == pytest.approx(f @ f, rel=1e-4)
    expected = f + g if f @ g >= 0 else f - f @ g / (g @ g) * g + g - f @ g / (f @ f) * f
    np.testing.assert_allclose(d["pcgrad"], expected, atol=1e-4)
    mean = (f + g) / 2
    assert np.linalg.norm(d["cagrad"] / 2 - mean) == pytest.approx(0.5 * np.linalg.norm(mean), rel=1e-3)
    np.testing.assert_allclose(d["cagrad"], brute_cagrad(f, g), atol=2e-2 * np.linalg.norm(f))


def brute_cagrad(f, g):
    mean, shares = (f + g) / 2, np.linspace(0, 1, 20001)
    mixed = shares[:, None] * f + (1 - shares[:, None]) * g
    best = mixed[np.argmin(mixed @ mean + 0.5 * np.linalg.norm(mean) * np.linalg.norm(mixed, axis=1))]
    return 2 * (mean + 0.5 * np.linalg.norm(mean) * best / np.linalg.norm(best))


@pytest.mark.parametrize("name", COMBINERS)
def test_zero_and_equal_gradients(name):
    f, _ = draw(0, 0.0)
    zero = jax.tree.map(np.zeros_like, f)
    for pair in ((f, zero), (zero, f), (zero, zero), (f, f)):
        assert np.isfinite(flat(COMBINERS[name](*pair))).all()
    np.testing.assert_allclose(flat(COMBINERS["mgda"](f, f)), 2 * flat(f), rtol=1e-6)
    np.testing.assert_array_equal(flat(COMBINERS["blur"](zero, f)), flat(f))


def test_leaf_by_leaf():
    f, g = draw(1, -1.0)
    by_leaf = find_combiner("pcgrad", "leaf")(f, g)
    np.testing.assert_allclose(by_leaf["b"], COMBINERS["pcgrad"]({"b": f["b"]}, {"b": g["b"]})["b"], rtol=1e-6)
    assert np.abs(by_leaf["b"] - COMBINERS["pcgrad"](f, g)["b"]).max() > 1e-3
    with pytest.raises(InputError, match="did you mean 'pcgrad'"):
        find_combiner("pcgard")


def test_an_optimiser_sees_the_combined_gradient():
    f, g = draw(2, -1.0)
    tx = combined(COMBINERS["blur"], optax.sgd(0.5))
    update, _ = tx.update(f, tx.init(f), None, constraint_grads=g)
    np.testing.assert_allclose(update["a"], -0.5 * COMBINERS["blur"](f, g)["a"], rtol=1e-6)
    with pytest.raises(ValueError, match="constraint_grads"):
        tx.update(f, tx.init(f))
    assert update["b"].dtype == jnp.float32
