"""Leaves, gates and states: stacked, sharded, bfloat16, damaged; what is compiled once and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from pairs import gaussian, step

from jaxtrunc.core.errors import InputError
from jaxtrunc.steer import AdamConfig, Schedule, SiftState, Window, scale_by_sift, sift, sift_metrics

PLAIN = {"beta": 0.0, "nesterov": False, "threshold": None, "rank": 3}


def run(tx, f, g):
    direction, state = jax.jit(lambda f, g: tx.update(f, tx.init(f), constraint_grads=g))(f, g)
    return jax.device_get(direction), jax.device_get(state)


def test_a_stack_is_its_matrices_and_a_reshaped_leaf_too():
    f, g = gaussian(3, 12, 10), gaussian(3, 12, 10, seed=1)
    heads = optax.contrib.MuonDimensionNumbers(1, (2, 3))
    tx = scale_by_sift(**PLAIN, dimension_numbers={"stack": optax.contrib.MuonDimensionNumbers(1, 2), "heads": heads})
    both = [{"stack": x, "heads": x.reshape(3, 12, 5, 2)} for x in (f, g)]
    found, state = run(tx, *both)
    single = np.stack([step(f[i], g[i], **PLAIN)[0] for i in range(3)])
    np.testing.assert_allclose(found["stack"], single, atol=1e-5)
    np.testing.assert_allclose(found["heads"].reshape(3, 12, 10), single, atol=1e-5)
    assert state.metrics.cos["heads"].shape == (3,)


def test_sharded_and_whole_agree():
    mesh = jax.make_mesh((4, 2), ("fsdp", "tensor"), axis_types=(AxisType.Auto,) * 2)
    f, g = ({"w": gaussian(3, 16, 12, seed=seed), "v": gaussian(16, 12, seed=seed + 5)} for seed in (0, 1))
    place = NamedSharding(mesh, PartitionSpec(None, "fsdp", "tensor"))
    placed = [{"w": jax.device_put(tree["w"], place), "v": tree["v"]} for tree in (f, g)]
    options = {"rank": 4, "threshold": 0.0, "max_active": 2}
    whole, state = run(scale_by_sift(**options), f, g)
    divided, its_state = run(scale_by_sift(**options, mesh=mesh), *placed)
    for name in f:
        np.testing.assert_allclose(divided[name], whole[name], rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(its_state.metrics.fired[name], state.metrics.fired[name])


def test_the_gate_per_matrix_and_step():
    """Matrix 0 conflicts, 1 agrees, 2 has no constraint; steps 1 and 2 are candidates."""
    base, other = gaussian(12, 10), gaussian(12, 10, seed=1)
    f = {"w": np.stack([base] * 3)}
    g = {"w": np.stack([other - base, other + base, 0 * base])}
    tx = scale_by_sift(rank=2, when=Schedule(start=1, stop=3))
    state, fired = tx.init(f), []
    update = jax.jit(tx.update)
    for _ in range(4):
        _, state = update(f, state, constraint_grads=g)
        fired.append(np.asarray(state.metrics.fired["w"]).tolist())
    assert fired == [[False] * 3, [True, False, False], [True, False, False], [False] * 3]
    cos = np.asarray(state.metrics.cos["w"])
    assert cos[0] < 0 < cos[1] and np.isnan(cos[2])
    exact = np.sum(base * (other - base)) / np.linalg.norm(base) / np.linalg.norm(other - base)
    assert cos[0] == pytest.approx(exact, abs=1e-6)
    assert np.isnan(state.metrics.sti["w"]).all() and int(state.count) == 4


def test_a_budget_takes_the_strongest_conflicts_and_says_so():
    base, other = gaussian(12, 10), gaussian(12, 10, seed=1)
    f = {"w": np.stack([base] * 4)}
    g = {"w": np.stack([other - share * base for share in (0.5, 3, -5, 1)])}
    _, state = run(scale_by_sift(rank=2, max_active=2), f, g)
    assert state.metrics.fired["w"].tolist() == [False, True, False, True]
    assert state.metrics.over_budget["w"].tolist() == [bool(state.metrics.cos["w"][0] < 0), False, False, False]
    assert state.metrics.over_budget["w"][0]


def test_a_momentum_that_is_not_finite_changes_nothing():
    f, g = {"w": gaussian(2, 12, 10)}, {"w": gaussian(2, 12, 10, seed=1)}
    tx = scale_by_sift(rank=2, threshold=None)
    _, before = run(tx, f, g)
    f["w"][0, 0, 0] = np.inf
    direction, after = jax.device_get(jax.jit(tx.update)(f, before, constraint_grads=g))
    assert (direction["w"][0] == 0).all() and np.isfinite(direction["w"]).all() and (direction["w"][1] != 0).any()
    np.testing.assert_array_equal(after.mu_g["w"][0], before.mu_g["w"][0])
    assert after.metrics.skipped["w"].tolist() == [True, False]


def test_momenta_may_be_bfloat16():
    f, g = {"w": gaussian(12, 10)}, {"w": gaussian(12, 10, seed=1)}
    exact, _ = run(scale_by_sift(threshold=-2.0), f, g)
    found, state = run(scale_by_sift(threshold=-2.0, mu_dtype=jnp.bfloat16), f, g)
    assert state.mu_f["w"].dtype == jnp.bfloat16 and found["w"].dtype == np.float32
    np.testing.assert_allclose(found["w"], exact["w"], atol=1e-6)  # the arithmetic of a step is float32


def test_a_mixed_tree_trains_and_nothing_is_compiled_twice():
    """Least squares under a second one; 100 steps, one program."""
    x, y, z = gaussian(24, 12), gaussian(24, 10, seed=1), gaussian(24, 10, seed=2)
    params = {"layers": {"kernel": jnp.asarray(0.3 * gaussian(2, 12, 12))}, "embed": {"embedding": jnp.zeros((12, 10))},
              "norm": jnp.ones(12)}
    tx = sift(optax.linear_schedule(0.05, 0.0, 100), rank=0.25, when=Schedule(every=2), subspace="iterate",
              adam=AdamConfig(1e-2))
    traces = []

    def loss(params, target):
        hidden = x * params["norm"]
        for kernel in params["layers"]["kernel"]:
            hidden = jnp.tanh(hidden @ kernel)
        return jnp.mean((hidden @ params["embed"]["embedding"] - target) ** 2)

    @jax.jit
    def train_step(params, state):
        traces.append(1)
        (f, grads), (g, constraint) = (jax.value_and_grad(loss)(params, target) for target in (y, z))
        updates, state = tx.update(grads, state, params, constraint_grads=constraint)
        return optax.apply_updates(params, updates), state, (f, g)

    state, losses = tx.init(params), []
    for _ in range(100):
        params, state, both = train_step(params, state)
        losses.append(jax.device_get(both))
    assert len(traces) == 1 and train_step._cache_size() == 1
    assert sum(losses[-1]) < 0.9 * sum(losses[0]) and np.isfinite(losses).all()
    assert isinstance(sift_metrics(state).fired["layers"]["kernel"], jax.Array)


def test_windows_are_fractions_of_depth():
    leaf = jax.ShapeDtypeStruct((8, 4, 4), jnp.float32)
    window = Window("down_proj", 5 / 32, 8 / 32)
    assert window("layers/mlp/down_proj/kernel", leaf).tolist() == [False, True] + [False] * 6
    deep = jax.ShapeDtypeStruct((32, 4, 4), jnp.float32)
    assert np.flatnonzero(window("down_proj", deep)).tolist() == [5, 6, 7]
    assert not window("layers/mlp/up_proj/kernel", leaf).any()
    with pytest.raises(InputError, match="no axis of layers"):
        window("down_proj", jax.ShapeDtypeStruct((4, 4), jnp.float32))
    with pytest.raises(InputError, match="fractions"):
        Window("x", 0.5, 0.5)


@pytest.mark.parametrize("where, fired", [
    ("a/", {"a/w": [True, True], "b": [False]}),
    ({"a": {"w": np.array([True, False])}, "b": False}, {"a/w": [True, False], "b": [False]}),
    (lambda path, leaf: leaf.ndim == 2, {"a/w": [False, False], "b": [True]})])
def test_where_by_name_by_tree_by_function(where, fired):
    f, g = ({"a": {"w": gaussian(2, 8, 6, seed=seed)}, "b": gaussian(8, 6, seed=seed + 2)} for seed in (0, 9))
    _, state = run(scale_by_sift(rank=2, threshold=None, where=where), f, g)
    assert {"a/w": state.metrics.fired["a"]["w"].tolist(), "b": state.metrics.fired["b"].tolist()} == fired


@pytest.mark.parametrize("options, words", [({"where": "nothing"}, "matches none"), ({"where": "("}, "regular expression"),
                                            ({"rank": 0}, "rank must be"), ({"rank": 1.5}, "rank must be"),
                                            ({"polar": "grem"}, "did you mean 'gram'"), ({"beta": 1.0}, "beta"),
                                            ({"scale": "size"}, "scale")])
def test_wrong_options_have_a_message(options, words):
    with pytest.raises(InputError, match=words):
        sift(0.1, **options).init({"w": jnp.zeros((8, 6))})
    with pytest.raises(InputError, match="when"):
        Schedule(start=3, stop=3)


def test_both_gradients_are_needed():
    params = {"w": jnp.zeros((8, 6)), "norm": jnp.zeros(6)}
    tx = sift(0.1, rank=2)
    with pytest.raises(ValueError, match="constraint_grads"):
        tx.update(params, tx.init(params), params)
    bare = scale_by_sift(rank=2)
    with pytest.raises(ValueError, match="structure"):
        bare.update({"w": params["w"]}, bare.init({"w": params["w"]}), constraint_grads={"v": params["w"]})


def test_the_state_knows_which_parts_are_like_the_parameters():
    """As the layout of a training run asks (`optax.tree_map_params`)."""
    params = {"w": jnp.zeros((8, 6)), "norm": jnp.zeros(6)}
    tx = sift(0.1, rank=2)
    marked = optax.tree_map_params(tx, lambda leaf: leaf + 1, tx.init(params))
    inner = [leaf for leaf in jax.tree.leaves(marked, is_leaf=lambda x: isinstance(x, SiftState)) if isinstance(leaf, SiftState)]
    assert (inner[0].mu_f["w"] == 1).all() and int(inner[0].count) == 0
