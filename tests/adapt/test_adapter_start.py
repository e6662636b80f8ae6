"""Where adapters begin: what the first factors are, what they add to the base, and what is refused."""

import sys
from pathlib import Path

import jax
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "lora"))

from lora_rows import make_batch, noisy

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.trees import flatten, unflatten
from jaxtrunc.sae.adapter import divide_by_gain, share_outside, update_size
from jaxtrunc.sae.recovery import energy_outside, recovery_error
from jaxtrunc.train.adapt_settings import AdaptSettings

BATCH = make_batch(1)
A, B = "layers/attn/o_proj/lora_a", "layers/attn/o_proj/lora_b"
REAL = np.arange(BATCH.tokens.shape[1]) < BATCH.lengths[:, None]


def added(tiny, start, **how):
    """What an adapter changes in the logits before it is trained."""
    now = tiny.logits(start.adapter.applied(tiny.tree(start.factors), **how), BATCH)
    return np.abs(now - tiny.logits(tiny.params, BATCH))[REAL].max()


def test_zero_and_compensated_begin_as_the_base(llama):
    subspaces = {"resid_post.1": llama.u()}
    assert added(llama, llama.begin(subspaces)) == 0
    start = llama.begin(subspaces, a_init="compensated", targets=("o", "down"))
    assert added(llama, start) <= 1e-5 and start.relative_size["model.layers.1.mlp.down_proj.weight"] == 0
    free = llama.begin(subspaces, a_init="random")
    assert added(llama, free) > 1e-3


def test_the_size_of_a_random_start_is_stated(llama):
    start = llama.begin({"resid_post.1": llama.u()}, a_init="random")
    a, b = start.factors[A][0], start.factors[B][0]
    kernel = np.asarray(llama.params["layers"]["attn"]["o_proj"]["kernel"][1], np.float64)
    wanted = 8 * np.linalg.norm(a.astype(np.float64) @ b) / np.linalg.norm(kernel)  # lora_alpha 32, rank 4
    assert start.relative_size == {"model.layers.1.self_attn.o_proj.weight": pytest.approx(wanted, rel=1e-5)}
    assert np.abs(a).max() <= 1 / np.sqrt(len(a)) and np.abs(a).max() > 0.9 / np.sqrt(len(a))


def test_b_spans_u(llama):
    u = llama.u()
    for a_init in ("zero", "random", "compensated"):
        start = llama.begin({"attn_out.0": u}, a_init=a_init, init_scale=0.25)
        np.testing.assert_array_equal(start.factors[B][0], np.float32(0.25) * u.T)
        assert recovery_error(start.factors[B][0].T, u) <= 1e-4
        assert start.begins["model.layers.0.self_attn.o_proj.weight"].zeroed == 0


def test_another_seed_draws_another_a(llama):
    draws = [llama.begin({"resid_post.1": llama.u()}, seed, a_init="random").factors[A] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


def test_divided_by_the_gain_u_comes_out_behind_the_norm(gemma):
    u, layer = gemma.u(), 1
    for module, norm in (("o", "post_attention_norm"), ("down", "post_feedforward_norm")):
        begun = gemma.begin({f"resid_post.{layer}": u}, targets=(module,), postnorm="divide")
        (name, begins), gain = *begun.begins.items(), 1 + np.asarray(gemma.params["layers"][norm]["scale"][layer], np.float64)
        assert begins.zeroed == 0, name
        written = np.asarray(begins.basis, np.float64) * gain[:, None]
        assert recovery_error(written, u) < 1e-5 < 0.1 < recovery_error(begins.basis, u)
        np.testing.assert_allclose(begins.basis.T @ begins.basis, np.eye(4), atol=1e-6)


def test_channels_with_hardly_any_gain():
    u = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 3)))[0].astype(np.float32)
    gain = np.linspace(0.5, 2, 12)
    gain[[2, 7]] = 0.001, -0.002
    found = divide_by_gain(u, gain)
    assert found.zeroed == 2 and not found.basis[[2, 7]].any()
    rest = np.delete(np.arange(12), [2, 7])
    assert recovery_error(found.basis[rest] * gain[rest, None], u[rest]) < 1e-5
    gain[:] = 1
    gain[:5] = 0
    with pytest.raises(InputError, match="leave 2 of the subspace's 3 directions; take a rank of at most 2"):
        divide_by_gain(np.eye(12, 3, dtype=np.float32)[[5, 6, 0, *range(7, 12), 1, 2, 3, 4]], gain)


def test_sizes_and_shares_without_the_product():
    draw = np.random.default_rng(0).normal
    a, b, u = draw(size=(30, 4)), draw(size=(4, 20)), np.linalg.qr(draw(size=(20, 5)))[0]
    assert update_size(a, b) == pytest.approx(np.linalg.norm(a @ b))
    assert share_outside(a, b, u) == pytest.approx(energy_outside(a @ b, u)) and 0.3 < share_outside(a, b, u) < 1
    assert share_outside(a, u.T[:4], u) < 1e-12


def test_companions_get_plain_lora(llama):
    start = llama.begin({"resid_post.1": llama.u()}, companions=("q", "o"), a_init="compensated")
    layers = llama.cfg.num_layers
    assert set(start.adapter.by_name(unflatten(start.factors))) == {
        f"model.layers.{layer}.self_attn.{name}_proj.weight" for layer in range(layers) for name in "qo"}
    assert list(start.begins) == ["model.layers.1.self_attn.o_proj.weight"] and added(llama, start) <= 1e-5
    for layer in range(layers):
        assert start.factors[A][layer].any() and start.factors[B][layer].any() == (layer == 1)
        assert start.factors[f"{A}0"][layer].any() == (layer == 1)
    plain = llama.begin({"attn_z.1": None}, targets=("o", "k"))
    assert not plain.begins and all(leaf.any() == path.endswith("lora_a") for path, leaf in plain.factors.items())


def test_merged_is_unmerged(llama):
    """W + s·A·B in the weights, and the factors in the forward pass; a compensated start as well."""
    for a_init in ("random", "compensated"):
        start = llama.begin({"resid_post.1": llama.u(), "resid_post.2": llama.u(1)}, a_init=a_init, targets=("o", "down"))
        factors = {path: np.asarray(leaf) for path, leaf in noisy(start.factors).items()}
        flat = flatten(llama.params)
        for target in start.adapter.targets:
            for name, (a, b) in start.adapter.by_name(unflatten(factors)).items():
                if name in target.names:
                    layer = target.layers[target.names.index(name)]
                    flat[target.path] = flat[target.path].at[layer].add(start.adapter.scale * (a.T @ b.T))
        unmerged = llama.logits(start.adapter.applied(llama.tree(factors)), BATCH)
        np.testing.assert_allclose(llama.logits(unflatten(flat), BATCH)[REAL], unmerged[REAL], atol=1e-5)
        assert np.abs(unmerged - llama.logits(llama.params, BATCH))[REAL].max() > 0.1


def test_dropout_takes_the_same_entries_from_both_terms(llama):
    """So a compensated start stays the base under every mask; a random one does not, and on average is what it is without."""
    numbers = np.arange(8, dtype=np.uint32)
    settings = {"dropout": 0.5, "targets": ("o", "down")}
    assert added(llama, llama.begin({"resid_post.1": llama.u()}, a_init="compensated", **settings), numbers=numbers) <= 1e-5
    start = llama.begin({"resid_post.1": llama.u()}, a_init="random", **settings)
    shaken, still = added(llama, start, numbers=numbers), added(llama, start)
    assert shaken > 1e-3 and shaken != still
    masks = [start.adapter.applied(llama.tree(start.factors), numbers + shift) for shift in (0, 0, 8)]
    first, again, other = (llama.logits(mask, BATCH) for mask in masks)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_mask_belongs_to_its_row():
    from jaxtrunc.models.lora import dropped

    keys = jax.random.key_data(jax.random.split(jax.random.key(0), 400))
    ones = np.ones((400, 3, 20), np.float32)
    found = np.asarray(dropped(ones, keys, 0.2))
    assert set(np.unique(found)) == {0, np.float32(1.25)} and abs(found.mean() - 1) < 0.02
    np.testing.assert_array_equal(np.asarray(dropped(ones[:2], keys[5:7], 0.2)), found[5:7])


@pytest.mark.parametrize(("subspaces", "settings", "words"), [
    ({}, {}, "no site is given"),
    ({"attn_z.1": 0}, {}, "before the output projection"),
    ({"resid_post.9": 0}, {}, "layers 0 to"),
    ({"mlp_out.1": 0}, {}, "for down of its layer"),
    ({"attn_out.1": 0}, {"targets": ("o", "down")}, "'down' writes to none of the sites attn_out.1"),
    ({"attn_out.1": 0}, {"targets": ("q",)}, "targets are q"),
    ({"attn_out.1": 0, "resid_post.1": 1}, {}, "attn_out.1 and resid_post.1 would both begin 'o' of layer 1"),
    ({"resid_post.1": 0}, {"rank": 3}, r"shape \(32, 3\).*found \(32, 4\)"),
    ({"resid_post.1": 0}, {"postnorm": "divide"}, "no norm behind its output projections"),
    ({"resid_post.1": None}, {"freeze_b": True}, "every matrix has plain LoRA"),
    ({"resid_post.1": 0}, {"freeze_b": True, "companions": ("o",)}, "o of layer 0 has plain LoRA"),
    ({"resid_post.1": None}, {"rank": 33}, "rank 33 is above the shorter side"),
])
def test_what_is_refused(llama, subspaces, settings, words):
    with pytest.raises(InputError, match=words):
        llama.begin({site: None if seed is None else llama.u(seed) for site, seed in subspaces.items()}, **settings)


@pytest.mark.parametrize(("values", "words"), [
    ({"targets": ("z",)}, "targets must be of q, k, v, o, gate, up, down, found z"), ({"targets": ()}, "at least one matrix"),
    ({"rank": 0}, "rank must be at least 1"), ({"dropout": 1.0}, "dropout must be from 0 to below 1"),
    ({"constraint_factor": 0.1}, "there is no constraint"), ({"init_scale": 0}, "above 0")])
def test_settings_that_make_no_sense(values, words):
    with pytest.raises(InputError, match=words):
        AdaptSettings(**values)


def test_paper_scale():
    assert AdaptSettings().scale == 2
