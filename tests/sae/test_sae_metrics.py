"""Metrics of an autoencoder against NumPy in float64."""

import math

import jax.numpy as jnp
import numpy as np

from jaxtrunc.core import jsonio
from jaxtrunc.sae.metrics import ce_recovered, evaluate, mmcs, nearest_cosines
from jaxtrunc.sae.sae import SAE

RNG = np.random.default_rng(0)
D, N = 5, 12
W_ENC, W_DEC = (RNG.standard_normal(shape).astype(np.float32) for shape in ((D, N), (N, D)))
B_ENC = np.where(np.arange(N) == 3, -100, 0).astype(np.float32)
TOY = SAE(kind="standard", w_enc=jnp.asarray(W_ENC), w_dec=jnp.asarray(W_DEC), b_enc=jnp.asarray(B_ENC), b_dec=jnp.ones(D),
          subtract_b_dec=False)


def test_a_streamed_evaluation_is_that_of_the_whole_set():
    x = (RNG.standard_normal((96, D)) + 30).astype(np.float32)
    a = np.maximum(x.astype(np.float64) @ W_ENC + B_ENC, 0)
    error, variance = ((x - a @ W_DEC - 1) ** 2).sum(), ((x - x.mean(0, dtype=np.float64)) ** 2).sum()
    facts = evaluate(TOY, np.split(x, 3)).facts()
    assert np.isclose(facts["fvu"], error / variance, rtol=1e-5) and facts["explained_variance"] == 1 - facts["fvu"]
    assert np.isclose(facts["l0"], (a > 0).sum(1).mean()) and facts["rows"] == 96
    density = (a > 0).mean(0)
    assert density[3] == 0 and facts["dead_fraction"] == (density == 0).mean()
    assert sum(facts["density_histogram"]["counts"]) == (density > 0).sum()
    assert facts["density_histogram"]["counts"][-1] == (density >= 10**-0.5).sum()
    jsonio.dumps(facts)


def test_nearest_cosines_and_mmcs():
    unit = W_DEC / np.linalg.norm(W_DEC, axis=1, keepdims=True)
    cosines = unit @ unit.T - 2 * np.eye(N)
    assert np.allclose(nearest_cosines(W_DEC), cosines.max(1), atol=1e-5)
    directions = np.stack([2 * W_DEC[4], -3 * W_DEC[7]])
    assert np.isclose(mmcs(directions, W_DEC), 1)
    directions = RNG.standard_normal((3, D))
    wanted = np.abs(directions / np.linalg.norm(directions, axis=1, keepdims=True) @ unit.T).max(1).mean()
    assert np.isclose(mmcs(directions, W_DEC), wanted, rtol=1e-5)


def test_cross_entropy_recovered():
    assert ce_recovered(original=2.0, spliced=2.5, zeroed=7.0) == 0.9
    assert math.isnan(ce_recovered(original=2.0, spliced=2.5, zeroed=2.0))
