"""`delta_svd` on the trees that Flax gives, against float64 LAPACK; every cut comes back as a tree that the model takes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral import Layout, Level, delta_svd, plan_levels


class Net(nnx.Module):
    """A list of layers (integer keys in its state), and dropout (keys and counters of random numbers in it)."""

    def __init__(self, seed: int):
        rngs = nnx.Rngs(seed)
        self.layers = nnx.List([nnx.Linear(24, 16, rngs=rngs), nnx.Linear(16, 8, rngs=rngs)])
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.layers[1](jnp.tanh(self.layers[0](x)))


def moved(tree, seed: int = 1):
    """The tree with noise on every floating-point leaf."""
    draw = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: (leaf + draw.standard_normal(leaf.shape).astype(np.float32)).astype(leaf.dtype)
                        if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, tree)


def truncated(base, ft, k: int) -> np.ndarray:
    before, after = (np.asarray(leaf, np.float64) for leaf in (base, ft))
    u, s, vt = np.linalg.svd(after - before, full_matrices=False)
    return before + (u[..., :k] * s[..., None, :k]) @ vt[..., :k, :]


def assert_same_trees(one, other) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.dtype == b.dtype
        assert (a == b).all()


@pytest.fixture
def trees():
    base = nnx.to_pure_dict(nnx.state(Net(0)))
    return base, moved(base)


def test_the_state_of_an_nnx_model_goes_in_and_out(trees):
    base, ft = trees
    update = delta_svd(base, ft)
    assert list(update.s) == ["layers/0/kernel", "layers/1/kernel"]
    cut = update.params(Level("top_k", k=3))
    for layer in (0, 1):
        kernel = [tree["layers"][layer]["kernel"] for tree in (base, ft, cut)]
        delta = np.float64(kernel[1]) - np.float64(kernel[0])
        np.testing.assert_allclose(update.s[f"layers/{layer}/kernel"], np.linalg.svd(delta, compute_uv=False), rtol=1e-6)
        np.testing.assert_allclose(kernel[2], truncated(kernel[0], kernel[1], 3), atol=1e-5)
        np.testing.assert_array_equal(cut["layers"][layer]["bias"], ft["layers"][layer]["bias"])
    model, tuned = Net(2), Net(3)
    nnx.update(model, update.params(Level("top_k", k=16)))
    nnx.update(tuned, ft)
    x = jnp.ones((2, 24))
    np.testing.assert_array_equal(model(x), tuned(x))


def test_a_state_itself_is_a_tree_too():
    base = nnx.state(Net(0), nnx.Param)
    model = Net(2)
    nnx.update(model, delta_svd(base, moved(base)).params(Level("top_k", k=0)))
    np.testing.assert_array_equal(model.layers[0].kernel[...], base["layers"][0]["kernel"][...])


def test_the_ends_are_the_two_trees_bit_for_bit(trees):
    base, ft = trees
    update = delta_svd(base, ft, residual="base")
    assert_same_trees(update.params(Level("top_k", k=0)), base)
    assert_same_trees(delta_svd(base, ft).params(Level("top_k", k=16)), ft)


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_a_level_outlives_the_next_one(kind):
    base = {"w": kind(np.random.default_rng(0).standard_normal((32, 16), np.float32))}
    update = delta_svd(base, moved(base))
    first = update.params(Level("top_k", k=1))
    assert type(first["w"]) is type(base["w"])
    seen = np.array(first["w"])
    for other in plan_levels(update.decomposition, ["top_k", "bottom_k"]):
        update.params(other)
    np.testing.assert_array_equal(first["w"], seen)


def test_what_is_not_cut_has_the_residual_value():
    draw = np.random.default_rng(0)
    base = {"blocks": {"kernel": draw.standard_normal((2, 16, 8))}, "bias": np.ones(8), "bins": np.arange(12).reshape(3, 4)}
    base["blocks"]["kernel"] = base["blocks"]["kernel"].astype(np.float32)
    ft = moved(base) | {"bins": base["bins"] + 1}
    for residual, rest in (("base", base), ("ft", ft)):
        update = delta_svd(base, ft, include=r"kernel\.1", residual=residual)
        cut = update.params(Level("top_k", k=2))
        assert list(update.s) == ["blocks/kernel.1"]
        np.testing.assert_array_equal(cut["blocks"]["kernel"][0], rest["blocks"]["kernel"][0])
        np.testing.assert_array_equal(cut["bias"], rest["bias"])
        np.testing.assert_array_equal(cut["bins"], rest["bins"])
    assert list(delta_svd(base, ft).s) == ["blocks/kernel.0", "blocks/kernel.1"]


def test_linen_parameters():
    model = linen.Sequential([linen.Dense(16), linen.relu, linen.Dense(8)])
    base = model.init(jax.random.key(0), jnp.ones((1, 24)))
    ft = moved(base)
    cut = delta_svd(base, ft, include="layers_2").params(Level("top_k", k=2))
    two = [tree["params"]["layers_2"]["kernel"] for tree in (base, ft, cut)]
    np.testing.assert_allclose(two[2], truncated(two[0], two[1], 2), atol=1e-5)
    np.testing.assert_array_equal(cut["params"]["layers_0"]["kernel"], ft["params"]["layers_0"]["kernel"])
    assert model.apply(cut, jnp.ones((1, 24))).shape == (1, 8)


def test_leaves_sharded_over_eight_devices_stay_where_they_are():
    mesh = jax.make_mesh((8,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    stacked = jax.sharding.NamedSharding(mesh, jax.P(None, "x", None))
    base = {"blocks": {"kernel": jax.device_put(np.random.default_rng(0).standard_normal((3, 32, 16), np.float32), stacked)}}
    ft = jax.jit(lambda tree: jax.tree.map(lambda w: w + jnp.sin(50 * w), tree))(base)
    update = delta_svd(base, ft)
    assert list(update.s) == ["blocks/kernel.0", "blocks/kernel.1", "blocks/kernel.2"]
    cut = update.params(Level("top_k", k=4))["blocks"]["kernel"]
    assert cut.sharding == ft["blocks"]["kernel"].sharding and len(cut.devices()) == 8
    np.testing.assert_allclose(cut, truncated(base["blocks"]["kernel"], ft["blocks"]["kernel"], 4), atol=1e-5)


def test_bfloat16_leaves_are_summed_in_float32_and_cast_once():
    base = {"w": jax.random.normal(jax.random.key(0), (32, 16), jnp.bfloat16)}
    ft = moved(base)
    cut = delta_svd(base, ft).params(Level("top_k", k=4))["w"]
    assert cut.dtype == jnp.bfloat16
    exact = truncated(base["w"], ft["w"], 4)
    assert np.all(np.abs(np.float64(cut) - exact) <= 2.0**-8 * np.abs(exact) + 1e-6)  # half a unit in the last place


def test_head_split_kernels_by_a_layout_and_gains_of_ones_own(trees):
    draw = np.random.default_rng(0)
    base = {"query": {"kernel": draw.standard_normal((16, 2, 4)).astype(np.float32)}}
    ft = moved(base)
    update = delta_svd(base, ft, views={"query/kernel": Layout(0)})
    assert update.decomposition.matrices["query/kernel"].shape == (16, 8)
    folded = [tree["query"]["kernel"].reshape(16, 8) for tree in (base, ft)]
    kept = update.custom(lambda spectrum: np.arange(spectrum.r) < 2)["query"]["kernel"]
    np.testing.assert_allclose(kept.reshape(16, 8), truncated(*folded, 2), atol=1e-5)


@pytest.mark.parametrize(("options", "sentence"), [
    ({"include": "attention"}, "'attention': matches no matrix; names are layers/0/kernel, layers/1/kernel"),
    ({"exclude": "head"}, "'head': matches no matrix"),
    ({"residual": "neither"}, "residual 'neither': expected ft or base"),
])
def test_refused_options(trees, options, sentence):
    with pytest.raises(InputError, match=sentence):
        delta_svd(*trees, **options)


def test_refused_trees(trees):
    base, ft = trees
    with pytest.raises(InputError, match="layers/1/bias: only in the base tree"):
        delta_svd(base, ft | {"layers": {0: ft["layers"][0], 1: {"kernel": ft["layers"][1]["kernel"]}}})
    with pytest.raises(InputError, match=r"w: shape \(2, 3\) in the base model, \(3, 2\) in the fine-tuned one"):
        delta_svd({"w": np.ones((2, 3))}, {"w": np.ones((3, 2))})
