"""Logits against transformers' torch models."""

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
    params = load_params(source.leaves(), dtype)
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
    again = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)  # half.float() would keep rounded constants
    expected = torch_logits(again.eval(), ids)
    np.testing.assert_allclose(ours(tmp_path, ids, np.full(2, 20)), expected, atol=1e-4)
