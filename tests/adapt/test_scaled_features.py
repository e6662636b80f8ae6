"""The causal check's edit: exact where it changes nothing, else what another decoding says; in a pass of a model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrunc.models import edited, hidden_states
from jaxtrunc.sae.causal import scale_features
from jaxtrunc.sae.sae import SAE, decode, encode

INDEX = np.array([1, 5, 6])


@pytest.fixture(scope="module")
def sae() -> SAE:
    """Random, with scales and a subtracted bias, of the width of the tiny models."""
    draw = np.random.default_rng(0).normal
    arrays = {name: jnp.asarray(draw(size=shape), jnp.float32) for name, shape in
              {"w_enc": (32, 9), "w_dec": (9, 32), "b_enc": 9, "b_dec": 32}.items()}
    return SAE(kind="topk", k=4, input_scale=0.5, output_scale=0.25, subtract_b_dec=True, **arrays)


def test_one_changes_no_bit(sae):
    x = jnp.asarray(np.random.default_rng(1).normal(size=(3, 7, 32)), jnp.float32)
    np.testing.assert_array_equal(scale_features(x, sae=sae, index=INDEX, gamma=jnp.float32(1)), x)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.5])
def test_it_adds_the_difference_of_two_reconstructions(sae, gamma):
    x = jnp.asarray(np.random.default_rng(1).normal(size=(3, 7, 32)), jnp.float32)
    a = encode(sae, x)
    wanted = x + decode(sae, a.at[..., INDEX].multiply(gamma)) - decode(sae, a)
    found = scale_features(x, sae=sae, index=INDEX, gamma=jnp.float32(gamma))
    assert np.abs(found - x).max() > 0.1
    np.testing.assert_allclose(found, wanted, atol=3e-4, rtol=1e-5)


def test_places_that_do_not_count_stay(sae):
    x = jnp.asarray(np.random.default_rng(1).normal(size=(3, 7, 32)), jnp.float32)
    counts = np.random.default_rng(2).random((3, 7)) < 0.5
    scale = jax.tree_util.Partial(scale_features, sae=sae, index=INDEX, gamma=jnp.float32(2))
    found, whole = scale(x, counts=jnp.asarray(counts)), scale(x)
    np.testing.assert_array_equal(found[~counts], x[~counts])
    np.testing.assert_array_equal(found[counts], whole[counts])
    np.testing.assert_array_equal(scale(x[:, :1], counts=jnp.asarray(counts)), whole[:, :1])  # one token further


def test_in_a_pass(llama, sae):
    tokens, lengths = np.arange(12).reshape(2, 6) % 20, np.array([6, 4])
    plain = hidden_states(llama.params, llama.cfg, tokens, lengths)
    for gamma in (1.0, 2.0):
        edit = jax.tree_util.Partial(scale_features, sae=sae, index=INDEX, gamma=jnp.float32(gamma))
        found = edited(llama.params, llama.cfg, tokens, lengths, {"resid_post.0": edit})
        assert np.array_equal(found, plain) == (gamma == 1)
