"""With the gate closed SIFT is Muon on the summed gradient, beside AdamW on the summed gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from pairs import gaussian

from jaxtrunc.steer import COMBINERS, AdamConfig, combined, joint_clip, muon, scale_by_sift, sift
from jaxtrunc.steer.sift import scale_by_shape

CLOSED = -2.0
STEPS = 50


def gradients(shapes):
    """The same objectives in every step: noise around a mean, different for f and g."""
    def of(step):
        return [{name: gaussian(*shape, seed=97 * step + 7 * which + len(name)) + gaussian(*shape, seed=1000 + which)
                 for name, shape in shapes.items()} for which in range(2)]

    return [of(step) for step in range(STEPS)]


def updates(tx, steps, both):
    """What the optimiser gives in every step."""
    params = jax.tree.map(jnp.zeros_like, steps[0][0])
    state, update, found = tx.init(params), jax.jit(tx.update), []
    for f, g in steps:
        if both:
            out, state = update(f, state, params, constraint_grads=g)
        else:
            out, state = update(jax.tree.map(np.add, f, g), state, params)
        found.append(jax.device_get(out))
    return found


@pytest.mark.parametrize("scale, rms", [("width", None), ("rms", 0.2)])
def test_without_nesterov_it_is_optax_muon_in_every_step(scale, rms):
    shapes = {"one": (12, 20), "stack": (3, 20, 12)}
    numbers = {"one": optax.contrib.MuonDimensionNumbers(), "stack": optax.contrib.MuonDimensionNumbers(1, 2)}
    steps = gradients(shapes)
    ours = updates(sift(0.1, threshold=CLOSED, nesterov=False, scale=scale), steps, both=True)
    muon_of_optax = optax.contrib.muon(0.1, nesterov=False, consistent_rms=rms, muon_weight_dimension_numbers=numbers)
    theirs = updates(muon_of_optax, steps, both=False)
    for mine, other in zip(ours, theirs, strict=True):
        for name in shapes:
            np.testing.assert_allclose(mine[name], other[name], atol=1e-4 * np.abs(other[name]).max())


def test_with_nesterov_against_numpy_and_optax():
    steps = gradients({"w": (12, 20)})
    ours = updates(scale_by_sift(threshold=CLOSED), steps, both=True)
    numbers = {"w": optax.contrib.MuonDimensionNumbers()}
    theirs = updates(optax.contrib.scale_by_muon(weight_dimension_numbers=numbers), steps, both=False)
    momentum = np.zeros((12, 20))
    for number, (f, g) in enumerate(steps):
        total = (f["w"] + g["w"]).astype(np.float64)
        momentum = 0.95 * momentum + total
        mine, other = ours[number]["w"], theirs[number]["w"]
        np.testing.assert_allclose(mine, numpy_muon(total + 0.95 * momentum), atol=1e-4)
        if number >= 20:
            assert np.sum(mine * other) / np.linalg.norm(mine) / np.linalg.norm(other) >= 0.999


def numpy_muon(matrix):
    """Five quintic steps in float64."""
    x = matrix / np.linalg.norm(matrix)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x


def test_other_leaves_have_adamw_on_the_sum():
    shapes = {"embed": (16, 8), "kernel": (8, 8), "norm": (8,), "chosen": (8, 8)}
    steps = gradients(shapes)[:10]
    adam = AdamConfig(learning_rate=0.01, weight_decay=0.1, where="chosen")
    ours = updates(sift(0.1, threshold=CLOSED, adam=adam), steps, both=True)
    theirs = updates(optax.adamw(0.01, weight_decay=0.1), steps, both=False)
    for mine, other in zip(ours, theirs, strict=True):
        for name in ("embed", "norm", "chosen"):
            np.testing.assert_allclose(mine[name], other[name], rtol=1e-6, atol=1e-9)
    assert np.abs(ours[-1]["kernel"] - theirs[-1]["kernel"]).max() > 1e-3


def test_two_micro_batches_are_one_batch():
    """Both trees are accumulated, then one update is made."""
    params, tx = {"w": gaussian(12, 20), "norm": np.ones(20, np.float32)}, sift(0.1, rank=3, threshold=None)
    x, targets = gaussian(16, 12, seed=1), (gaussian(16, 20, seed=2), gaussian(16, 20, seed=3))

    def gradient(rows, target):
        return jax.grad(lambda params: jnp.mean((x[rows] @ params["w"] * params["norm"] - target[rows]) ** 2))(params)

    halves = [[gradient(rows, target) for rows in (slice(0, 8), slice(8, 16))] for target in targets]
    accumulated = [jax.tree.map(lambda a, b: (a + b) / 2, *parts) for parts in halves]
    update = jax.jit(lambda f, g: tx.update(f, tx.init(params), params, constraint_grads=g)[0])
    one, two = update(*(gradient(slice(None), target) for target in targets)), update(*accumulated)
    for name in params:
        np.testing.assert_allclose(one[name], two[name], atol=1e-5)


def test_the_baseline_is_sift_with_the_gate_closed():
    """Up to what Optax does at the beginning: it divides by bias corrections."""
    steps = gradients({"layers": (2, 8, 6), "norm": (2, 6)})[:30]
    ours = updates(sift(0.1, rank=2, threshold=CLOSED, nesterov=False), steps, both=True)
    theirs = updates(combined(COMBINERS["weighted_sum"], muon(0.1, nesterov=False)), steps, both=True)
    for name in ("layers", "norm"):
        np.testing.assert_allclose(ours[-1][name], theirs[-1][name], atol=1e-4 * np.abs(ours[-1][name]).max())


def test_scale_is_by_the_axes_of_the_dimension_numbers():
    numbers = optax.contrib.MuonDimensionNumbers(0, (1, 2))
    tx = scale_by_shape("width", dimensions=numbers)
    scaled, _ = tx.update({"w": np.ones((4, 3, 12), np.float32)}, tx.init({}))
    np.testing.assert_allclose(scaled["w"], 3.0)


def test_joint_clip_of_gradients_whose_squares_float16_cannot_hold():
    f = {"a": np.full((8, 8), 300.0, np.float16)}
    clipped_f, clipped_g = joint_clip(f, f, 1.0)
    np.testing.assert_allclose([clipped_f["a"], clipped_g["a"]], 128**-0.5, rtol=1e-3)
    assert clipped_f["a"].dtype == np.float16


def test_joint_clip_keeps_the_relative_weight():
    f, g = {"a": np.full((3,), 4.0, np.float32)}, {"a": np.full((3,), 3.0, np.float32)}
    clipped_f, clipped_g = joint_clip(f, g, 1.0)
    total = np.sqrt(np.sum(np.square(clipped_f["a"])) + np.sum(np.square(clipped_g["a"])))
    assert total == pytest.approx(1.0) and clipped_f["a"][0] / clipped_g["a"][0] == pytest.approx(4 / 3)
    np.testing.assert_array_equal(joint_clip(f, g, 100.0)[0]["a"], f["a"])
    np.testing.assert_array_equal(joint_clip({"a": 0 * f["a"]}, {"a": 0 * f["a"]}, 1.0)[0]["a"], 0)
