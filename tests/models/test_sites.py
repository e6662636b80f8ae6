"""States at sites against transformers' hooks, and passes that go on with other states."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_hf import QUICK, make, tokens

from jaxtrunc.core.errors import InputError
from jaxtrunc.models import Execution, edited, hidden_states, load_params, open_model, site_states, watched

LENGTHS = np.array([12, 5, 1, 9], np.int32)
IDS = tokens(4, 12)
REAL = np.arange(12) < LENGTHS[:, None]
KINDS = ("resid_post", "attn_out", "mlp_out", "attn_z", "mlp_z")
EXECUTIONS = [Execution(scan=False), Execution(scan=True), Execution(scan=True, remat=True)]
NAMES = ["unrolled", "scanned", "rematerialised"]


def hooked(model, layer):
    """What torch has at the sites of one layer, every row alone in its batch."""
    import torch

    block, seen = model.model.layers[layer], {}
    sandwich = hasattr(block, "pre_feedforward_layernorm")
    attention = block.post_attention_layernorm if sandwich else block.self_attn
    mlp = block.post_feedforward_layernorm if sandwich else block.mlp

    def keep(kind):
        return lambda module, given, out: seen.__setitem__(kind, out[0] if isinstance(out, tuple) else out)

    handles = [block.register_forward_hook(keep("resid_post")), attention.register_forward_hook(keep("attn_out")),
               mlp.register_forward_hook(keep("mlp_out"))]
    handles += [module.register_forward_pre_hook(lambda module, given, kind=kind: seen.__setitem__(kind, given[0]))
                for module, kind in ((block.self_attn.o_proj, "attn_z"), (block.mlp.down_proj, "mlp_z"))]
    with torch.no_grad():
        model(input_ids=torch.from_numpy(IDS.astype(np.int64)), attention_mask=torch.from_numpy(REAL.astype(np.int64)))
    for handle in handles:
        handle.remove()
    return {kind: state.float().numpy() for kind, state in seen.items()}


@pytest.fixture(scope="module", params=["gemma2", "qwen2 4/2 heads, tied"])
def case(request, tmp_path_factory):
    pytest.importorskip("torch")
    model = make(request.param)
    folder = tmp_path_factory.mktemp("sites")
    model.save_pretrained(folder)
    source = open_model(folder)
    return model, load_params(source.leaves()), source.cfg


@pytest.mark.parametrize("execution", EXECUTIONS, ids=NAMES)
def test_states_are_those_of_torch(case, execution):
    model, params, cfg = case
    wanted = {f"{kind}.{layer}": state for layer in (0, 2) for kind, state in hooked(model, layer).items()}
    assert len(wanted) == 2 * len(KINDS)
    passing = partial(jax.jit, static_argnums=(1, 4, 5), compiler_options=QUICK)
    found = passing(site_states)(params, cfg, IDS, LENGTHS, tuple(wanted), execution)
    last, beside = passing(watched)(params, cfg, IDS, LENGTHS, tuple(wanted), execution)
    for name, state in wanted.items():
        assert found[name].dtype == jnp.float32
        np.testing.assert_allclose(found[name][REAL], state[REAL], rtol=1e-5, atol=5e-5, err_msg=name)
        np.testing.assert_allclose(beside[name][REAL], state[REAL], rtol=1e-5, atol=5e-5, err_msg=name)
    np.testing.assert_allclose(last[REAL], np.asarray(hidden_states(params, cfg, IDS, LENGTHS))[REAL], atol=3e-5)


@pytest.fixture(scope="module")
def gemma():
    source = open_model(Path(__file__).parent / "golden" / "gemma2")
    return load_params(source.leaves()), source.cfg


@pytest.mark.parametrize("execution", EXECUTIONS, ids=NAMES)
def test_edits(gemma, execution):
    """Layer 1 without its output is a model whose layer 1 writes nothing; an edit is seen by those who watch."""
    params, cfg = gemma
    plain = np.asarray(hidden_states(params, cfg, IDS, LENGTHS))
    same = edited(params, cfg, IDS, LENGTHS, {"resid_post.1": lambda x: x, "mlp_out.0": lambda x: x * 1.0}, execution)
    np.testing.assert_allclose(np.asarray(same)[REAL], plain[REAL], atol=2e-5)
    zeros = {"attn_out.1": jnp.zeros_like, "mlp_out.1": jnp.zeros_like}
    without, seen = watched(params, cfg, IDS, LENGTHS, ("resid_post.0", "resid_post.1", "mlp_out.1"), execution, edits=zeros)
    assert np.abs(np.asarray(without)[REAL] - plain[REAL]).max() > 0.1
    np.testing.assert_array_equal(seen["resid_post.1"], seen["resid_post.0"])
    assert not np.asarray(seen["mlp_out.1"]).any()
    kernels = jax.tree.map(lambda leaf: leaf, params)
    for module in (kernels["layers"]["attn"]["o_proj"], kernels["layers"]["mlp"]["down_proj"]):
        module["kernel"] = module["kernel"].at[1].set(0)
    np.testing.assert_allclose(np.asarray(without)[REAL], np.asarray(hidden_states(kernels, cfg, IDS, LENGTHS))[REAL], atol=2e-5)
    at = LENGTHS[:, None] - 1
    picked = edited(params, cfg, IDS, LENGTHS, zeros, execution, at=at)
    np.testing.assert_allclose(picked[:, 0], np.asarray(without)[np.arange(4), LENGTHS - 1], atol=2e-5)


def test_layers_above_are_not_run(gemma):
    params, cfg = gemma

    def program(layer, scan):
        sites = (f"resid_post.{layer}",)
        return str(jax.make_jaxpr(lambda params: site_states(params, cfg, IDS, LENGTHS, sites, Execution(scan=scan)))(params))

    products = [program(layer, scan=False).count("dot_general") for layer in range(cfg.num_layers)]
    assert products == [products[0] * (layer + 1) for layer in range(cfg.num_layers)] and products[0] >= 9
    assert "length=1\n" in program(0, scan=True) and "length=2\n" in program(1, scan=True)


@pytest.mark.parametrize("name", ["resid_post", "resid_pre.1", "resid_post.x", "resid_post.-1", "resid_post.99", "mlp.1"])
def test_names_that_are_no_sites(gemma, name):
    params, cfg = gemma
    with pytest.raises(InputError, match=name):
        site_states(params, cfg, IDS, LENGTHS, (name,))
