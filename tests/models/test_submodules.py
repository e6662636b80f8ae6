"""Part by part against transformers, so that a difference in the logits has an address."""

import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_hf import tokens

from jaxtrunc.models import Execution, load_params, open_model
from jaxtrunc.models import rope as rotary
from jaxtrunc.models.forward import decoder

torch = pytest.importorskip("torch", reason="parity with torch needs torch")
LENGTH = 40
CAUSAL = np.tril(np.ones((1, LENGTH, LENGTH), bool))


def rotary_tables(cfg):
    positions = jnp.arange(LENGTH, dtype=jnp.int32)[None] * 3
    return positions, rotary.tables(cfg.rope, cfg.head_dim, positions)


def torch_rope(model, positions, x):
    return model.model.rotary_emb(x, torch.from_numpy(np.asarray(positions, np.int64)))


def mlp(model, ours, x, cfg):
    return model.model.layers[1].mlp(torch.from_numpy(x)), ours.mlp(x, Execution())


def attention(model, ours, x, cfg):
    positions, angles = rotary_tables(cfg)
    hidden = torch.from_numpy(x)
    mask = torch.where(torch.from_numpy(CAUSAL[:, None]), 0.0, torch.finfo(torch.float32).min)
    tables = torch_rope(model, positions, hidden)
    theirs = model.model.layers[1].self_attn(hidden, position_embeddings=tables, attention_mask=mask)[0]
    return theirs, ours.attn(x, angles, jnp.asarray(CAUSAL), Execution())


def projection(name):
    def compare(model, ours, x, cfg):
        return getattr(model.model.layers[1].self_attn, name)(torch.from_numpy(x)), getattr(ours.attn, name)(x, Execution())

    return compare


PARTS = {
    "mlp": mlp,
    "attention": attention,
    "q": projection("q_proj"),
    "k": projection("k_proj"),
    "v": projection("v_proj"),
}


@pytest.mark.parametrize("part", PARTS)
def test_part_of_a_layer(saved, part):
    model, folder = saved
    source = open_model(folder)
    layer = jax.tree.map(lambda leaf: leaf[1], decoder(load_params(source.leaves()), source.cfg).layers)
    x = np.random.default_rng(0).normal(size=(1, LENGTH, source.cfg.hidden_size)).astype(np.float32)
    with torch.no_grad():
        theirs, found = PARTS[part](model, layer, x, source.cfg)
    np.testing.assert_allclose(found, theirs.numpy(), rtol=1e-5, atol=1e-5)


def test_every_norm_of_a_layer(saved):
    model, folder = saved
    source = open_model(folder)
    layer = jax.tree.map(lambda leaf: leaf[1], decoder(load_params(source.leaves()), source.cfg).layers)
    norms = {name: module for name, module in model.model.layers[1].named_modules() if name.endswith("norm")}
    assert len(norms) == {"qwen3": 4, "gemma2": 4}.get(source.cfg.family, 2)
    for name, module in norms.items():
        x = np.random.default_rng(0).normal(size=(2, 5, *module.weight.shape)).astype(np.float32)
        ours = operator.attrgetter(name.replace("layernorm", "norm").replace("self_attn", "attn"))(layer)
        with torch.no_grad():
            np.testing.assert_allclose(ours(x), module(torch.from_numpy(x)).numpy(), rtol=1e-5, atol=1e-5, err_msg=name)


def test_rotary_tables(saved):
    model, folder = saved
    cfg = open_model(folder).cfg
    positions, (cos, sin) = rotary_tables(cfg)
    expected = torch_rope(model, positions, torch.zeros(1))
    half = cfg.head_dim // 2
    for ours, theirs in zip((cos, sin), expected, strict=True):
        np.testing.assert_allclose(ours[:, :, 0], theirs.numpy()[..., :half], atol=1e-5)


def test_embedding(saved):
    model, folder = saved
    source = open_model(folder)
    ids = tokens(2, 9)
    with torch.no_grad():
        theirs = model.model.embed_tokens(torch.from_numpy(ids.astype(np.int64))).numpy()
    np.testing.assert_array_equal(decoder(load_params(source.leaves()), source.cfg).embed(ids, Execution()), theirs)
