"""L_sub against an explicit projector and finite differences (criterion 9), and as part of a model's loss."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "lora"))

from lora_rows import RandomStream, make_batch, noisy

from jaxtrunc.models import Execution, site_states
from jaxtrunc.sae.constraint import orthogonal_energy, subspace_loss
from jaxtrunc.train.adapt_settings import AdaptSettings
from jaxtrunc.train.batches import step_batch
from jaxtrunc.train.loss import loss_sum

SITES = ("resid_post.1", "resid_post.2")


def drawn(seed, layers=2, d=24, r=5):
    """States (layers of (3, 7, d)) and bases, float64."""
    draw = np.random.default_rng(seed).normal
    return [draw(size=(3, 7, d)) for _ in range(layers)], [np.linalg.qr(draw(size=(d, r)))[0] for _ in range(layers)]


def test_it_is_the_explicit_projector():
    states, bases = drawn(0)
    wanted = np.mean([np.mean(np.sum(((np.eye(24) - u @ u.T) @ h[..., None])[..., 0] ** 2, -1))
                      for h, u in zip(states, bases, strict=True)])
    as_float32 = [[x.astype(np.float32) for x in each] for each in (states, bases)]
    assert float(subspace_loss(*as_float32)) == pytest.approx(wanted, rel=1e-5)
    weights = np.zeros((3, 7), np.float32)
    weights[1, 2] = 2
    alone = [orthogonal_energy(jnp.asarray(h[1, 2]), jnp.asarray(u)) for h, u in zip(*as_float32, strict=True)]
    assert float(subspace_loss(*as_float32, weights)) == pytest.approx(2 * np.mean(alone), rel=1e-5)


def test_its_gradient_is_that_of_finite_differences():
    with jax.enable_x64(True):
        (h,), (u,) = drawn(1, layers=1)
        found = jax.grad(lambda h: subspace_loss([h], [jnp.asarray(u)]))(jnp.asarray(h))
        step, direction = 1e-5, np.random.default_rng(2).normal(size=h.shape)
        for place in (np.s_[0, 0, 0], np.s_[2, 6, 23], np.s_[1, 3, 11]):
            unit = np.zeros_like(h)
            unit[place] = step
            slope = (subspace_loss([h + unit], [u]) - subspace_loss([h - unit], [u])) / (2 * step)
            assert float(found[place]) == pytest.approx(float(slope), abs=1e-6)
        slope = (subspace_loss([h + step * direction], [u]) - subspace_loss([h - step * direction], [u])) / (2 * step)
        assert float(jnp.sum(found * direction)) == pytest.approx(float(slope), abs=1e-6)


def test_states_inside_cost_nothing():
    (h,), (u,) = drawn(3, layers=1)
    inside = (1000 * h @ u @ u.T).astype(np.float32)
    cost = float(subspace_loss([inside], [u.astype(np.float32)]))
    assert 0 <= cost <= 1e-6 * np.mean(np.sum(inside**2, -1))


@pytest.fixture(scope="module")
def begun(llama):
    """An adapter of two layers as after some training: neither factor is zero."""
    start = llama.begin({site: llama.u(seed) for seed, site in enumerate(SITES)}, a_init="random")
    return start, noisy(start.factors)


def energy(h, u):
    h, u = np.asarray(h, np.float64), np.asarray(u, np.float64)
    return np.sum((h - h @ u @ u.T) ** 2, -1)


@pytest.mark.parametrize("relative", [True, False], ids=["of the base's size", "as it is"])
@pytest.mark.parametrize("kind", ["hidden", "displacement", "output"])
def test_in_the_loss_of_a_model(llama, begun, kind, relative):
    """Real tokens other than special and first ones count alike; the sum is the number of targets times λ times the mean."""
    start, factors = begun
    stream, special = RandomStream(), (3, 5)
    settings = AdaptSettings(rank=4, constraint=kind, constraint_factor=0.3, constraint_scale="base" if relative else "none")
    penalty = start.penalty(settings, special).measured(llama.params, llama.cfg, stream, Execution())
    assert stream.position == 0
    batch, applied = make_batch(2), start.adapter.applied(llama.tree(factors))
    arranged = step_batch(batch, weights=penalty.weights(batch))
    found = penalty.loss_sum(applied, llama.cfg, arranged, Execution()) - loss_sum(applied, llama.cfg, arranged, Execution())
    first = next(RandomStream())
    wanted = np.mean([mean(kind, llama, start, applied, batch, seed, special)
                      / (squares(llama, first, site, special) if relative else 1) for seed, site in enumerate(SITES)])
    targets = (batch.targets >= 0).sum()
    assert float(found) == pytest.approx(0.3 * targets * wanted, rel=2e-3) and wanted > 1e-3


def counted(batch, special):
    steps = np.arange(batch.tokens.shape[1])
    return (steps > 0) & (steps < batch.lengths[:, None]) & ~np.isin(batch.tokens, special)


def squares(llama, batch, site, special):
    """Mean ‖h‖² of the base model."""
    state = site_states(llama.params, llama.cfg, batch.tokens, batch.lengths, (site,))[site]
    return float(np.sum(np.asarray(state, np.float64) ** 2, -1)[counted(batch, special)].mean())


def mean(kind, llama, start, applied, batch, seed, special):
    """The mean energy outside U over the tokens that count, in float64."""
    site = SITES[seed]
    layer = int(site[-1])
    look = site if kind != "output" else f"attn_z.{layer}"
    state = np.asarray(site_states(applied, llama.cfg, batch.tokens, batch.lengths, (look,))[look], np.float64)
    if kind == "displacement":
        state -= np.asarray(site_states(llama.params, llama.cfg, batch.tokens, batch.lengths, (site,))[site], np.float64)
    if kind == "output":
        factors = applied["layers"]["attn"]["o_proj"]
        state = state @ np.asarray(factors["lora_a"][layer]) @ np.asarray(factors["lora_b"][layer])
    return energy(state, llama.u(seed))[counted(batch, special)].mean()


def test_an_adapter_that_does_nothing_yet_moves_nothing(llama):
    start = llama.begin({SITES[0]: llama.u()})
    batch, applied = make_batch(2), start.adapter.applied(llama.tree(start.factors))
    for kind in ("displacement", "output"):
        penalty = start.penalty(AdaptSettings(rank=4, constraint=kind, constraint_factor=1.0, constraint_scale="none"))
        arranged = step_batch(batch, weights=penalty.weights(batch))
        plain = float(loss_sum(applied, llama.cfg, arranged, Execution()))
        assert float(penalty.loss_sum(applied, llama.cfg, arranged, Execution())) == pytest.approx(plain, abs=1e-4)


def test_two_matrices_of_a_site_confine_one_state(llama, begun):
    start = llama.begin({SITES[0]: llama.u()}, targets=("o", "down"))
    counts = {kind: len(start.penalty(AdaptSettings(rank=4, constraint=kind, constraint_factor=1.0)).confined)
              for kind in ("hidden", "displacement", "output")}
    assert counts == {"hidden": 1, "displacement": 1, "output": 2}
    assert begun[0].penalty(AdaptSettings(rank=4)) is None
