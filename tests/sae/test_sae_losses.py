"""Losses against NumPy, pseudo-gradients against the formulas (criterion 7)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrunc.sae.training.jump import jump, step
from jaxtrunc.sae.training.losses import LOSSES
from jaxtrunc.sae.training.losses.parts import Now
from jaxtrunc.sae.training.optimiser import learning_rate, sparsity
from jaxtrunc.sae.training.settings import SAETraining

D, N, B, K = 6, 10, 16, 2


def weights(kind: str = "topk") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    params = {"w_enc": rng.standard_normal((D, N)), "w_dec": rng.standard_normal((N, D)), "b_enc": 0.1 * rng.standard_normal(N),
              "b_dec": rng.standard_normal(D)} | ({"log_threshold": rng.uniform(-2, 0, N)} if kind == "jumprelu" else {})
    return {name: value.astype(np.float32) for name, value in params.items()}


X = np.random.default_rng(1).standard_normal((B, D)).astype(np.float32)
DEAD = np.arange(N) % 4 == 1  # 1, 5, 9


def loss_and_seen(kind: str, **settings):
    settings = SAETraining(kind=kind, n=N, k=K, steps=10, **settings)
    now = Now(jnp.asarray(DEAD), jnp.float32(0.3))
    return jax.jit(LOSSES[kind], static_argnums=3)(weights(kind), jnp.asarray(X), now, settings)


def exact(kind: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Weights in float64, relu(pre)."""
    w = {name: value.astype(np.float64) for name, value in weights(kind).items()}
    return w, np.maximum((X - (0 if kind == "jumprelu" else w["b_dec"])) @ w["w_enc"] + w["b_enc"], 0)


def kept_of(values: np.ndarray, count: int) -> np.ndarray:
    """Zeros but for the `count` largest of each row."""
    return np.where(values >= np.sort(values, axis=1)[:, -count:][:, :1], values, 0)


@pytest.mark.parametrize("kind", ["topk", "batchtopk"])
def test_topk_losses_are_the_formula(kind):
    w, relu = exact(kind)
    a = kept_of(relu, K) if kind == "topk" else kept_of(relu.reshape(1, -1), K * B).reshape(B, N)
    e = X - a @ w["w_dec"] - w["b_dec"]
    guess = kept_of(np.where(DEAD, relu, 0), D // 2) @ w["w_dec"]  # 3 dead, as many as ⌊d/2⌋: c = 1
    spread = ((X - X.mean(0)) ** 2).sum()
    loss, seen = loss_and_seen(kind)
    assert np.isclose(loss, ((e**2).sum() + ((guess - e) ** 2).sum() / 32) / spread, rtol=1e-5)
    assert np.isclose(loss_and_seen(kind, aux_coefficient=0)[0], (e**2).sum() / spread, rtol=1e-5)
    assert np.array_equal(seen.fired, (a > 0).any(0)) and np.isclose(seen.l0, (a > 0).sum(1).mean())
    assert np.isclose(seen.unexplained, (e**2).sum() / spread, rtol=1e-5) and np.allclose(seen.errors, (e**2).sum(1), rtol=1e-4)
    assert np.isclose(seen.least, a[a > 0].min(), rtol=1e-4)


def test_auxk_counts_fewer_dead_latents_by_their_share_and_changes_no_living_one():
    def auxiliary(params, dead):
        now, counted, left_out = Now(dead, 0.0), *(SAETraining(kind="topk", n=N, k=K, aux_coefficient=c) for c in (1.0, 0.0))
        return LOSSES["topk"](params, X, now, counted)[0] - LOSSES["topk"](params, X, now, left_out)[0]

    w, relu = exact("topk")
    one = np.arange(N) == 4
    e = X - kept_of(relu, K) @ w["w_dec"] - w["b_dec"]
    wanted = ((np.where(one, relu, 0) @ w["w_dec"] - e) ** 2).sum() / 3 / ((X - X.mean(0)) ** 2).sum()
    slope_of = jax.jit(jax.value_and_grad(auxiliary))
    value, slope = slope_of(weights(), one)
    assert np.isclose(value, wanted, rtol=1e-4)
    assert np.abs(slope["w_dec"][4]).max() > 1e-3
    assert np.abs(np.asarray(slope["w_dec"])[~one]).max() < 1e-6 and np.abs(np.asarray(slope["w_enc"])[:, ~one]).max() < 1e-6
    assert abs(slope_of(weights(), np.zeros(N, bool))[0]) < 1e-6  # two losses of about 1, in float32


def test_standard_and_jumprelu_losses_are_the_formulas():
    w, relu = exact("standard")
    e = X - relu @ w["w_dec"] - w["b_dec"]
    price = (relu * np.linalg.norm(w["w_dec"], axis=1)).sum()
    assert np.isclose(loss_and_seen("standard")[0], ((e**2).sum() + 0.3 * price) / B, rtol=1e-5)
    w, relu = exact("jumprelu")
    a = np.where(relu > np.exp(w["log_threshold"]), relu, 0)
    e = X - a @ w["w_dec"] - w["b_dec"]
    assert np.isclose(loss_and_seen("jumprelu")[0], ((e**2).sum() + 0.3 * (a > 0).sum()) / B, rtol=1e-5)


@pytest.mark.parametrize("bandwidth", [0.001, 0.2])
def test_pseudo_gradients_match_the_formulas(bandwidth):
    rng = np.random.default_rng(2)
    threshold = rng.uniform(0.05, 0.5, N).astype(np.float32)
    near = threshold + np.float32(bandwidth) * rng.uniform(-1, 1, (B, N)).astype(np.float32)  # half of it within the kernel
    z = np.concatenate([near, rng.standard_normal((B, N)).astype(np.float32)])
    g = rng.standard_normal(z.shape).astype(np.float32)
    kernel = np.abs((z.astype(np.float64) - threshold) / bandwidth) < 0.5
    assert 10 < kernel.sum() < kernel.size
    @partial(jax.jit, static_argnums=0)
    def value_and_slopes(function, z, threshold, g):
        value, back = jax.vjp(lambda z, t: function(z, t, bandwidth), z, threshold)
        return value, *back(g)

    value, to_z, to_threshold = value_and_slopes(jump, z, threshold, g)
    assert np.array_equal(value, np.where(z > threshold, z, 0)) and np.array_equal(to_z, np.where(z > threshold, g, 0))
    assert np.allclose(to_threshold, (-threshold / bandwidth * kernel * g).sum(0), rtol=1e-4, atol=1e-4)
    value, to_z, to_threshold = value_and_slopes(step, z, threshold, g)
    assert np.array_equal(value, z > threshold) and not np.any(to_z)
    assert np.allclose(to_threshold, (-1 / bandwidth * kernel * g).sum(0), rtol=1e-4, atol=1e-4 / bandwidth)


def test_schedules():
    settings = SAETraining(n=4096, steps=5000, kind="jumprelu", l0_coefficient=0.5)
    rate, peak = learning_rate(settings), 2e-4 / (4096 / 16384) ** 0.5
    assert np.isclose(peak, 4e-4)
    assert np.allclose([rate(i) for i in (0, 499, 999, 4000, 4500, 4999)],
                       np.array([1e-3, 0.5, 1, 1, 0.5, 1e-3]) * peak, rtol=1e-5)
    assert np.allclose([sparsity(settings, jnp.int32(i)) for i in (0, 249, 499, 4999)], [1e-3, 0.25, 0.5, 0.5], rtol=1e-5)
