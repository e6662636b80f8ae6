"""Logits against transformers' torch models, and against ourselves where two ways must agree."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_hf import tokens, torch_logits

from jaxtrunc.models import Execution, head_logits, hidden_states, load_params, open_model

LENGTHS = np.array([48, 7, 1, 31], np.int32)
# bf16 operands keep 8 bits of a number. Root-mean-square error of the logits in units of their standard deviation,
# measured over the cases: ours 0.015–0.020 (worst single logit 0.25), torch's own bf16 0.026–0.038 (0.60).
BF16_RMS, BF16_WORST = 0.025, 0.35
REFERENCE = Execution()
FORWARD = jax.jit(hidden_states, static_argnums=(1, 4))


def ours(folder, ids, lengths, execution=REFERENCE, dtype=jnp.float32, **where):
    source = open_model(folder)
    params = load_params(source, dtype)
    hidden = FORWARD(params, source.cfg, ids, jnp.asarray(lengths), execution, **where)
    return np.asarray(head_logits(params, source.cfg, hidden))


def test_right_padded_logits(saved):
    model, folder = saved
    ids = tokens(4, 48)
    mask = np.arange(48) < LENGTHS[:, None]
    expected = torch_logits(model, ids, attention_mask=mask)
    assert expected.std() > 0.5  # random enough that an error would show
    np.testing.assert_allclose(ours(folder, ids, LENGTHS)[mask], expected[mask], atol=1e-4)


def test_left_padded_logits(saved):
    model, folder = saved
    ids = tokens(4, 48)
    valid = np.arange(48) >= 48 - LENGTHS[:, None]
    positions = np.maximum(np.cumsum(valid, 1) - 1, 0).astype(np.int32)
    expected = torch_logits(model, ids, attention_mask=valid, position_ids=positions)
    found = ours(folder, ids, LENGTHS, positions=positions, valid=jnp.asarray(valid))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[valid], expected[valid], atol=1e-4)


def test_bf16_operands(saved):
    model, folder = saved
    ids = tokens(4, 48)
    expected = torch_logits(model, ids)
    error = np.abs(ours(folder, ids, np.full(4, 48), Execution("bfloat16")) - expected) / expected.std()
    theirs = np.abs(torch_logits(copy.deepcopy(model).bfloat16(), ids) - expected) / expected.std()
    rms = lambda x: float(np.sqrt(np.mean(x**2)))  # noqa: E731
    assert 1e-3 < rms(error) < BF16_RMS and error.max() < BF16_WORST  # above the floor: bf16 was really used
    assert rms(error) < rms(theirs)


@pytest.mark.parametrize("stored", ["bfloat16", "float16"])
def test_half_precision_checkpoints_are_read_exactly(saved, stored, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    _, folder = saved
    half = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, stored))
    half.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    ids = tokens(2, 20)
    expected = torch_logits(half.float(), ids)
    np.testing.assert_allclose(ours(tmp_path, ids, np.full(2, 20)), expected, atol=1e-4)


@pytest.mark.parametrize("remat", [False, True])
def test_scan_equals_unrolled(saved, remat):
    _, folder = saved
    source = open_model(folder)
    if source.cfg.num_kv_heads != 2:
        pytest.skip("gradients of one head ratio per family are enough")
    params = load_params(source)
    ids, lengths = tokens(2, 16), jnp.array([16, 9])

    def loss(params, execution):
        return jnp.mean(head_logits(params, source.cfg, hidden_states(params, source.cfg, ids, lengths, execution)) ** 2)

    kinds = [Execution(scan=False), Execution(scan=True, remat=remat)]
    (one, gradient), (two, other) = (jax.jit(jax.value_and_grad(loss), static_argnums=1)(params, kind) for kind in kinds)
    np.testing.assert_allclose(one, two, rtol=1e-6)
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5 * scale), gradient, other)


def test_a_row_does_not_see_the_other_rows(saved):
    _, folder = saved
    ids = tokens(4, 48)
    together = ours(folder, ids, LENGTHS)
    garbage = np.where(np.arange(48) < LENGTHS[:, None], ids, 5)
    changed = ours(folder, garbage, LENGTHS)
    for row, length in enumerate(LENGTHS):
        np.testing.assert_array_equal(changed[row, :length], together[row, :length])
        alone = ours(folder, ids[row : row + 1, :length], LENGTHS[row : row + 1])
        np.testing.assert_allclose(alone[0], together[row, :length], atol=2e-5)


def test_chosen_rows_of_the_head(saved):
    _, folder = saved
    source = open_model(folder)
    params = load_params(source)
    hidden = jax.random.normal(jax.random.key(1), (3, source.cfg.hidden_size))
    whole = head_logits(params, source.cfg, hidden)
    np.testing.assert_allclose(head_logits(params, source.cfg, hidden, [7, 3]), whole[:, [7, 3]], atol=1e-6)
