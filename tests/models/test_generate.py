"""Greedy generation against transformers, row by row; windows, stop tokens, edits, a mesh."""

import jax
import numpy as np
import pytest
from jax.tree_util import Partial
from tiny_hf import make, tokens

from jaxtrunc.core.mesh import batch_sharding, compute_mesh, param_shardings
from jaxtrunc.core.trees import flatten, unflatten
from jaxtrunc.models import Execution, generate, load_params, open_model

LENGTHS = np.array([14, 3, 1, 9], np.int32)
NEW = 12
IDS = tokens(4, 14)


@pytest.fixture(scope="module", params=["gemma2", "mistral", "qwen2 4/2 heads, tied"])
def case(request, tmp_path_factory):
    """Torch model, parameters, configuration; windows of 9 in the first two."""
    pytest.importorskip("torch")
    model = make(request.param)
    folder = tmp_path_factory.mktemp("generated")
    model.save_pretrained(folder)
    source = open_model(folder)
    return model, load_params(source.leaves()), source.cfg


def wanted(model, row):
    """What transformers finds after one prompt; no token ends it."""
    import torch

    prompt = torch.from_numpy(IDS[row:row + 1, :LENGTHS[row]].astype(np.int64))
    found = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=NEW, eos_token_id=None,
                           pad_token_id=0)
    return found[0, LENGTHS[row]:].numpy()


@pytest.mark.parametrize("scan", [False, True], ids=["unrolled", "scanned"])
def test_the_tokens_of_transformers(case, scan):
    model, params, cfg = case
    found = np.asarray(generate(params, cfg, IDS, LENGTHS, NEW, (), Execution(scan=scan)))
    assert found.dtype == np.int32 and len(set(found.ravel())) > 4
    for row in range(4):
        np.testing.assert_array_equal(found[row], wanted(model, row), err_msg=str(row))


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    """Parameters and configuration of a committed tiny model."""
    from pathlib import Path

    source = open_model(Path(__file__).parent / "golden" / "qwen2")
    return load_params(source.leaves()), source.cfg


def test_it_stops_after_a_stop_token(qwen):
    params, cfg = qwen
    free = np.asarray(generate(params, cfg, IDS, LENGTHS, NEW))
    stops = (int(free[0, 4]), int(free[1, 0]))
    found = np.asarray(generate(params, cfg, IDS, LENGTHS, NEW, stops))
    for row in range(4):
        hits = np.flatnonzero(np.isin(free[row], stops))
        end = hits[0] + 1 if len(hits) else NEW
        np.testing.assert_array_equal(found[row, :end], free[row, :end])
        assert (found[row, end:] == -1).all()
    assert (found == -1).any()
    assert np.asarray(generate(params, cfg, IDS, LENGTHS, 1)).tolist() == free[:, :1].tolist()


def test_a_prompt_goes_its_way_whatever_stands_beside_it(qwen):
    params, cfg = qwen
    together = np.asarray(generate(params, cfg, IDS, LENGTHS, NEW))
    alone = np.asarray(generate(params, cfg, IDS[1:2, :3], LENGTHS[1:2], NEW))
    np.testing.assert_array_equal(together[1], alone[0])


def test_edits_hold_for_every_token(qwen):
    """An edit that does nothing gives the same tokens; one that silences a layer gives those of a model without it."""
    params, cfg = qwen
    free = np.asarray(generate(params, cfg, IDS, LENGTHS, NEW))
    silenced = jax.tree.map(lambda leaf: leaf, params)
    for kernel in (silenced["layers"]["attn"]["o_proj"], silenced["layers"]["mlp"]["down_proj"]):
        kernel["kernel"] = kernel["kernel"].at[1].set(0)
    expected = np.asarray(generate(silenced, cfg, IDS, LENGTHS, NEW))
    assert (expected != free).any()
    for factor, tokens_then in ((1.0, free), (0.0, expected)):
        edits = {name: Partial(jax.numpy.multiply, factor) for name in ("attn_out.1", "mlp_out.1")}
        np.testing.assert_array_equal(generate(params, cfg, IDS, LENGTHS, NEW, edits=edits), tokens_then)


def test_over_a_mesh(qwen):
    if jax.device_count() < 8:
        pytest.skip("needs 8 (virtual) devices")
    params, cfg = qwen
    mesh = compute_mesh(data=2, fsdp=2, tensor=2)
    layout = param_shardings(mesh, flatten(params))
    spread = unflatten({path: jax.device_put(leaf, layout[path]) for path, leaf in flatten(params).items()})
    ids, lengths = jax.device_put((IDS, LENGTHS), batch_sharding(mesh))
    found = generate(spread, cfg, ids, lengths, NEW, (), Execution(scan=True, mesh=mesh))
    np.testing.assert_array_equal(found, generate(params, cfg, IDS, LENGTHS, NEW))
