"""Every method on one small problem with two objectives: 20 steps, finite, and both losses fall."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from pairs import gaussian

from jaxtrunc.steer import COMBINERS, AdamConfig, combined, joint_clip, loss_pair, muon, objectives, sift

VOCABULARY, WIDTH, LAYERS = 12, 16, 2
RATE, ADAM = 0.02, AdamConfig(0.01)
METHODS = {
    "adamw": combined(COMBINERS["weighted_sum"], optax.adamw(0.01)),
    **{name: combined(rule, muon(RATE, adam=ADAM)) for name, rule in COMBINERS.items()},
    "sift": sift(RATE, rank=1 / 8, adam=ADAM),
    "sift, always on": sift(RATE, rank=1 / 8, threshold=None, adam=ADAM),
}


def logits(params, tokens):
    hidden = params["embed"][tokens]
    for kernel in params["kernels"]:
        hidden = hidden + jnp.tanh(hidden @ kernel)
    return hidden @ params["lm_head"]


def rows(seed):
    """Labels that only half of the places have."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, VOCABULARY, (4, 6)).astype(np.int32)
    return tokens, np.where(np.arange(6) % 2, (tokens * 5 + 1 + seed) % VOCABULARY, -1).astype(np.int32)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_both_losses_fall(name):
    """Forget one mapping of tokens, learn another; at the start the model knows neither."""
    params = {"embed": 0.5 * gaussian(VOCABULARY, WIDTH), "kernels": 0.1 * gaussian(LAYERS, WIDTH, WIDTH, seed=1),
              "lm_head": 0.1 * gaussian(WIDTH, VOCABULARY, seed=2)}
    pair, tx = loss_pair(objectives.negative_preference(logits)), METHODS[name]
    (forget, forget_labels), (retain, retain_labels) = rows(0), rows(1)
    batch = {"forget_tokens": forget, "forget_labels": forget_labels, "retain_tokens": retain, "retain_labels": retain_labels,
             "forget_reference": np.full(4, -7.0, np.float32)}

    @jax.jit
    def step(params, state):
        found = pair(params, batch)
        f, g = joint_clip(found.gradients, found.constraint_grads, 10.0)
        updates, state = tx.update(f, state, params, constraint_grads=g)
        return optax.apply_updates(params, updates), state, (found.primary, found.constraint)

    state, losses = tx.init(params), []
    for _ in range(20):
        params, state, both = step(params, state)
        losses.append(jax.device_get(both))
    assert np.isfinite(losses).all() and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    assert (np.asarray(losses[-1]) < np.asarray(losses[0])).all()
