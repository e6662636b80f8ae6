"""Several sequences in one row give what each gives alone: all families, windows, with and without what stands before."""

from functools import partial

import jax
import numpy as np
import pytest
from test_prefix import GOLDEN
from tiny_hf import QUICK, tokens

from jaxtrunc.models import Execution, hidden_states, load_params, open_model, prefix_cache

SHARED, LENGTHS = 12, (12, 1, 14)  # one of them, and each with what stands before, longer than the window of 9
IDS = tokens(1, SHARED + sum(LENGTHS) + 2)[0]
BEFORE, PACKED = IDS[:SHARED], IDS[None, SHARED:]  # two tokens of padding
SEGMENTS = np.array([[number for number, length in enumerate(LENGTHS) for _ in range(length)] + [-1, -1]], np.int32)


@partial(jax.jit, static_argnums=(1, 2, 3), compiler_options=QUICK)
def packed(params, cfg, execution, prefix):
    past = prefix_cache(params, cfg, BEFORE, execution) if prefix else None
    return hidden_states(params, cfg, PACKED, np.array([sum(LENGTHS)]), execution, segments=SEGMENTS, past=past)


@partial(jax.jit, static_argnums=1, compiler_options=QUICK)
def alone(params, cfg, rows, lengths):
    return hidden_states(params, cfg, rows, lengths)


@pytest.mark.parametrize(("name", "prefix"), [("gemma2", SHARED), ("mistral", 0), ("qwen2", SHARED)])
def test_a_row_of_several_is_each_alone(name, prefix):
    source = open_model(GOLDEN / name)
    params, cfg = load_params(source.leaves()), source.cfg
    found = np.asarray(packed(params, cfg, Execution(scan=False), bool(prefix)))[0]
    rows = np.zeros((len(LENGTHS), prefix + max(LENGTHS)), np.int32)
    for number, length in enumerate(LENGTHS):
        rows[number, :prefix + length] = [*BEFORE[:prefix], *PACKED[0, SEGMENTS[0] == number]]
    expected = np.asarray(alone(params, cfg, rows, prefix + np.array(LENGTHS)))
    for number, length in enumerate(LENGTHS):
        np.testing.assert_allclose(found[SEGMENTS[0] == number], expected[number, prefix:prefix + length], atol=2e-5)
