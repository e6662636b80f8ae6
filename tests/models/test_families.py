"""What sets one family apart from another: each such field agrees with torch both ways, and each makes a difference."""

from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_hf import QUICK, VARIANTS, make, tokens, torch_logits

from jaxtrunc.core.mesh import batch_sharding, compute_mesh, param_shardings
from jaxtrunc.core.trees import flatten, unflatten
from jaxtrunc.models import (
    Execution,
    head_logits,
    hidden_states,
    init_params,
    leaf_class,
    load_params,
    open_model,
    to_hf,
    write_model,
)
from jaxtrunc.models.forward import decoder
from jaxtrunc.models.table import leaf_shapes

GOLDEN = Path(__file__).parent / "golden"
LENGTHS = np.array([24, 7, 1], np.int32)  # one row is longer than the window of 9, one shorter, one a single token
UNROLLED, SCANNED = Execution(scan=False), Execution(scan=True)
IDS = tokens(3, 24)
MASK = np.arange(24) < LENGTHS[:, None]


@partial(jax.jit, static_argnums=(1, 2), compiler_options=QUICK)
def forward(params, cfg, execution=SCANNED, ids=IDS, **where):
    return head_logits(params, cfg, hidden_states(params, cfg, ids, LENGTHS[: len(ids)], execution, **where))


@cache
def golden(name):
    """Parameters, configuration and real logits of a golden model."""
    source = open_model(GOLDEN / name)
    params = load_params(source.leaves())
    return params, source.cfg, np.asarray(forward(params, source.cfg))[MASK]


@pytest.mark.parametrize("case", VARIANTS)
def test_logits_of_the_other_setting(case, tmp_path):
    pytest.importorskip("torch", reason="parity with torch needs torch")
    model = make(case)
    model.save_pretrained(tmp_path)
    source = open_model(tmp_path)
    params = load_params(source.leaves())
    expected = torch_logits(model, IDS, attention_mask=MASK)
    assert expected[MASK].std() > 0.5
    for execution in (SCANNED, UNROLLED):
        found = np.asarray(forward(params, source.cfg, execution))
        np.testing.assert_allclose(found[MASK], expected[MASK], atol=1e-4)


MATTERS = [
    ("qwen3", {"qk_norm": False}),
    ("mistral", {"sliding_window": None}),
    ("mistral", {"sliding_window": 10}),
    ("gemma2", {"sandwich_norms": False}),
    ("gemma2", {"norm_offset": 0.0}),
    ("gemma2", {"activation": "silu"}),
    ("gemma2", {"embed_scale": 1.0}),
    ("gemma2", {"attention_scale": None}),
    ("gemma2", {"attention_softcap": None}),
    ("gemma2", {"final_softcap": None}),
    ("gemma2", {"sliding_window": None}),
    ("gemma2", {"sliding_layers": (False, True, False)}),
]


@pytest.mark.parametrize(("name", "change"), MATTERS, ids=lambda value: str(value))
def test_every_setting_makes_a_difference(name, change):
    params, cfg, before = golden(name)
    other = replace(cfg, **change)
    assert other != cfg
    leaves = {path: leaf for path, leaf in flatten(params).items() if path in leaf_shapes(other)}
    after = np.asarray(forward(unflatten(leaves), other))[MASK]
    assert np.abs(after - before).max() > 0.02


@pytest.mark.parametrize("name", ["mistral", "gemma2"])
@pytest.mark.parametrize("left", [False, True])
def test_how_far_a_token_is_seen(name, left):
    """A change of one token reaches window − 1 positions further a sliding layer: counted, not compared."""
    params, cfg, _ = golden(name)
    window = 4
    cfg = replace(cfg, num_layers=2, sliding_window=window, sliding_layers=(True, True))
    params = params | {"layers": jax.tree.map(lambda leaf: leaf[:2], params["layers"])}
    ids, valid = tokens(1, 24), np.arange(24)[None] >= (5 if left else 0)
    changed = ids.copy()
    changed[0, 8] += 1
    where = {"valid": jnp.asarray(valid), "positions": jnp.asarray(np.maximum(np.cumsum(valid, 1) - 1, 0), jnp.int32)}
    before, after = (forward(params, cfg, ids=x % cfg.vocab_size, **where) for x in (ids, changed))
    moved = np.flatnonzero(np.abs(before - after).max(-1)[0] * valid[0])
    np.testing.assert_array_equal(moved, np.arange(8, 8 + 2 * (window - 1) + 1))


def test_sharded_parameters_give_the_same_values_and_gradients():
    params, cfg, _ = golden("gemma2")
    mesh = compute_mesh(data=2, fsdp=2, tensor=2)
    shardings = param_shardings(mesh, flatten(params))
    spread = unflatten({path: jax.device_put(leaf, shardings[path]) for path, leaf in flatten(params).items()})
    ids, lengths = tokens(4, 16), np.array([16, 9, 1, 12], np.int32)
    rows = jax.device_put((ids, lengths), batch_sharding(mesh))

    def loss(params, ids, lengths):
        return jnp.mean(head_logits(params, cfg, hidden_states(params, cfg, ids, lengths, SCANNED)) ** 2)

    step = jax.jit(jax.value_and_grad(loss), compiler_options=QUICK)
    value, gradient = step(params, ids, lengths)
    found, others = step(spread, *rows)
    assert not others["layers"]["mlp"]["up_proj"]["kernel"].sharding.is_fully_replicated
    np.testing.assert_allclose(found, value, rtol=1e-5)
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5 * scale), others, gradient)


@pytest.mark.parametrize("name", ["qwen3", "gemma2", "mistral"])
def test_a_model_written_and_read_back(name, tmp_path):
    """Without torch: to_hf → write_model → open_model → load_params → hidden_states."""
    params, cfg, expected = golden(name)
    write_model(tmp_path / "model", to_hf(cfg, params), source=GOLDEN / name, cfg=cfg, dtype="float32")
    source = open_model(tmp_path / "model")
    again = load_params(source.leaves())
    assert source.cfg == cfg
    jax.tree.map(np.testing.assert_array_equal, again, params)
    np.testing.assert_array_equal(np.asarray(forward(again, source.cfg))[MASK], expected)


def test_a_new_model_begins_with_gains_of_one():
    cfg = replace(golden("gemma2")[1], qk_norm=True)
    leaves = flatten(init_params(cfg, jax.random.key(0)))
    scales = {path: leaf for path, leaf in leaves.items() if path.endswith("/scale")}
    assert len(scales) == 7 and all((leaf + cfg.norm_offset == 1).all() for leaf in scales.values())


@pytest.mark.parametrize(("name", "norms"), [("qwen3", 5), ("gemma2", 5), ("mistral", 3)])
def test_norms_are_vectors(name, norms):
    cfg = golden(name)[1]
    named = [path for path in leaf_shapes(cfg) if "norm" in path]
    assert len(named) == norms and {leaf_class(cfg, path) for path in named} == {"vector"}


@pytest.mark.parametrize(("dtype", "factor"), [("float32", np.float32(32**0.5)), ("bfloat16", 5.65625)])
def test_the_embedding_scale_is_rounded_to_the_compute_dtype(dtype, factor):
    """√32 is 5.656854: transformers rounds it to the dtype of the weights, and the published models were trained so."""
    params, cfg, _ = golden("gemma2")
    found = decoder(params, cfg).embed(jnp.array([[7]]), Execution(dtype))
    np.testing.assert_array_equal(found[0, 0], params["embed"]["embedding"][7] * factor)
