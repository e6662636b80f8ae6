"""Logit lens and neighbours, against NumPy in float64."""

import jax.numpy as jnp
import numpy as np

from jaxtrunc.demo import ASSETS
from jaxtrunc.recipes.sae.base import open_base
from jaxtrunc.recipes.sae.words import best_matching, logit_lens, nearest
from jaxtrunc.sae.sae import SAE


def an_sae(rng, n=12, d=6):
    weights = rng.standard_normal((n, d)).astype(np.float32) * rng.uniform(0.5, 2, (n, 1)).astype(np.float32)
    return SAE(w_enc=jnp.asarray(weights.T), w_dec=jnp.asarray(weights), b_enc=jnp.zeros(n), b_dec=jnp.zeros(d), kind="standard",
               subtract_b_dec=False)


def test_the_lens_is_gain_times_unembedding():
    base = open_base(str(ASSETS / "model"))
    embedding = np.asarray(base.params["embed"]["embedding"], np.float64)
    gain = np.asarray(base.params["final_norm"]["scale"], np.float64) + base.cfg.norm_offset
    rows = np.random.default_rng(0).standard_normal((2, base.cfg.hidden_size)).astype(np.float32)
    logits = (rows * gain) @ embedding.T
    for found, row in zip(logit_lens(base, rows), logits, strict=True):
        order = np.argsort(row)
        assert [entry["id"] for entry in found["top"]] == order[::-1][:10].tolist()
        assert [entry["id"] for entry in found["bottom"]] == order[:10].tolist()
        np.testing.assert_allclose(found["bottom"][0]["logit"], row.min(), rtol=1e-4)
        assert found["top"][0]["token"] == base.chat.tokenizer.decode([int(order[-1])])


def test_neighbours_by_cosine():
    rng = np.random.default_rng(1)
    sae = an_sae(rng)
    unit = np.asarray(sae.w_dec, np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosines = unit @ unit.T - 2 * np.eye(len(unit))
    for index, found in zip((3, 7), nearest(sae, np.array([3, 7])), strict=True):
        assert [entry["feature"] for entry in found] == np.argsort(-cosines[index])[:3].tolist()
    column = -unit[5][:, None] + 0.01
    assert best_matching(sae, column, 2)[0][0]["feature"] == 5
    assert best_matching(sae, column, 2)[0][0]["cosine"] < -0.9
