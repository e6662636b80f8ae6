"""What all rows begin with, computed once, gives what computing it in every row gives: all families, windows, a mesh."""

from functools import cache, partial
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny_hf import QUICK, tokens

from jaxtrunc.core.mesh import batch_sharding, compute_mesh, param_shardings
from jaxtrunc.core.trees import flatten, unflatten
from jaxtrunc.models import Execution, hidden_states, load_params, open_model, prefix_cache

GOLDEN = Path(__file__).parent / "golden"
SHARED, BODY = 12, 12  # longer together, and each, than the window of 9
LENGTHS = np.array([12, 5, 1, 9], np.int32)
IDS = np.concatenate([np.repeat(tokens(1, SHARED), 4, axis=0), tokens(4, BODY)], axis=1)
EXECUTIONS = [Execution(scan=False), Execution(scan=True)]


@cache
def golden(name):
    source = open_model(GOLDEN / name)
    return load_params(source.leaves()), source.cfg


@partial(jax.jit, static_argnums=(1, 2), compiler_options=QUICK)
def whole(params, cfg, execution):
    return hidden_states(params, cfg, IDS, SHARED + LENGTHS, execution)[:, SHARED:]


@partial(jax.jit, static_argnums=(1, 2), compiler_options=QUICK)
def in_two(params, cfg, execution, at):
    past = prefix_cache(params, cfg, IDS[0, :SHARED], execution)
    assert past[0].shape == (cfg.num_layers, 1, SHARED, cfg.num_kv_heads, cfg.head_dim)
    return hidden_states(params, cfg, IDS[:, SHARED:], LENGTHS, execution, past=past, at=at)


@pytest.mark.parametrize("execution", EXECUTIONS, ids=["unrolled", "scanned"])
@pytest.mark.parametrize("name", ["gemma2", "llama3", "mistral", "qwen2", "qwen3"])
def test_the_prefix_is_computed_once(name, execution):
    params, cfg = golden(name)
    expected = np.asarray(whole(params, cfg, execution))
    found = np.asarray(in_two(params, cfg, execution, None))
    real = np.arange(BODY) < LENGTHS[:, None]
    np.testing.assert_allclose(found[real], expected[real], atol=2e-5)
    at = np.stack([LENGTHS - 1, LENGTHS // 2], axis=1)
    picked = np.asarray(in_two(params, cfg, execution, at))
    np.testing.assert_allclose(picked, np.take_along_axis(expected, at[..., None], axis=1), atol=2e-5)


def test_the_prefix_matters():
    params, cfg = golden("qwen2")
    alone = hidden_states(params, cfg, IDS[:, SHARED:], LENGTHS)
    assert np.abs(np.asarray(alone) - np.asarray(in_two(params, cfg, EXECUTIONS[0], None))).max() > 0.1


def test_over_a_mesh():
    """Rows on four devices, each with a copy of the prefix."""
    if jax.device_count() < 8:
        pytest.skip("needs 8 (virtual) devices")
    params, cfg = golden("gemma2")
    mesh = compute_mesh(data=2, fsdp=2, tensor=2)
    shardings = param_shardings(mesh, flatten(params))
    spread = unflatten({path: jax.device_put(leaf, shardings[path]) for path, leaf in flatten(params).items()})
    execution = Execution(scan=True, mesh=mesh)
    bodies, lengths = jax.device_put((IDS[:, SHARED:], LENGTHS), batch_sharding(mesh))

    @jax.jit
    def score(params, bodies, lengths):
        past = prefix_cache(params, cfg, IDS[0, :SHARED], execution)
        return hidden_states(params, cfg, bodies, lengths, execution, past=past, at=lengths[:, None] - 1)

    expected = np.asarray(whole(params, cfg, EXECUTIONS[0]))[np.arange(4), LENGTHS - 1]
    np.testing.assert_allclose(np.asarray(score(spread, bodies, lengths))[:, 0], expected, atol=2e-5)
