"""What lies where: no device holds a whole model, its moments, or a checkpoint's bytes that it does not need."""

import dataclasses

import jax
import numpy as np
import pytest
from runs import SETTINGS, UNEVEN, DiskLeaf, bytes_on_one_device, random_params
from tiny import CONFIG

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.mesh import compute_mesh, param_shardings
from jaxtrunc.core.trees import flatten
from jaxtrunc.models import abstract_params, leaf_class
from jaxtrunc.models.load import load_leaf
from jaxtrunc.train.layout import laid_out, masters, optimiser_state
from jaxtrunc.train.optimiser import adamw
from jaxtrunc.train.pretrain import first_params
from jaxtrunc.train.scope import split

WIDE = dataclasses.replace(CONFIG, hidden_size=64, intermediate_size=128, vocab_size=96, num_heads=8, num_kv_heads=8,
                           tie_embeddings=False)


def specs(cfg, mesh) -> dict[str, tuple]:
    return {path: tuple(sharding.spec) for path, sharding in param_shardings(mesh, flatten(abstract_params(cfg))).items()}


def test_kernels_follow_one_another_over_tensor():
    found = specs(WIDE, compute_mesh(2, 2, 2))
    for name in ("attn/q_proj", "attn/k_proj", "attn/v_proj", "mlp/gate_proj", "mlp/up_proj"):
        assert found[f"layers/{name}/kernel"] == (None, "fsdp", "tensor")
    for name in ("attn/o_proj", "mlp/down_proj"):
        assert found[f"layers/{name}/kernel"] == (None, "tensor", "fsdp")
    assert found["embed/embedding"] == ("tensor", "fsdp") and found["lm_head/kernel"] == ("fsdp", "tensor")
    assert found["layers/input_norm/scale"] == found["layers/attn/q_proj/bias"] == ()


def test_what_does_not_divide_stays_whole_along_that_axis():
    found = specs(UNEVEN, compute_mesh(1, 2, 4))  # widths 24 and 36, vocabulary 30
    assert found["embed/embedding"] == (None, "fsdp") and found["lm_head/kernel"] == ("fsdp", None)
    assert found["layers/mlp/down_proj/kernel"] == (None, "tensor", "fsdp")
    assert specs(UNEVEN, compute_mesh(1, 1, 8))["layers/mlp/down_proj/kernel"] == (None, None, "fsdp")


def test_a_wrong_mesh_is_refused():
    with pytest.raises(InputError, match=r"data=3 × fsdp=2 × tensor=1 does not give the number of devices, 8$"):
        compute_mesh(3, 2)


@pytest.mark.parametrize("shape", [(1, 8, 1), (1, 1, 8), (1, 2, 4), (2, 2, 2)])
def test_frozen_leaves_masters_and_moments_are_divided(shape):
    mesh = compute_mesh(*shape)
    parts = split(random_params(WIDE), lambda path: leaf_class(WIDE, path), "linear")
    trained, frozen = (laid_out(leaves, mesh) for leaves in parts)
    state = optimiser_state(adamw(SETTINGS, 6, dict.fromkeys(trained, True)), trained, mesh)
    for leaves in (masters(trained, mesh), frozen, state):
        sizes = [leaf.nbytes for leaf in jax.tree.leaves(leaves) if leaf.ndim >= 2 and min(leaf.shape[-2:]) >= 64]
        small = sum(leaf.nbytes for leaf in jax.tree.leaves(leaves)) - sum(sizes)
        assert bytes_on_one_device(leaves) <= shape[0] * sum(sizes) / 8 + small
    moments = [leaf for leaf in jax.tree.leaves(state) if leaf.ndim]
    assert len(moments) == 2 * len(trained)
    for moment, leaf in zip(moments, 2 * list(trained.values()), strict=True):
        assert moment.sharding == leaf.sharding


def test_random_weights_are_drawn_where_they_lie():
    drawn = flatten(first_params(WIDE, 3, compute_mesh(1, 4, 2)))
    assert {path: tuple(leaf.sharding.spec) for path, leaf in drawn.items()} == specs(WIDE, compute_mesh(1, 4, 2))


@pytest.mark.parametrize("shape", [(8, 1, 1), (1, 8, 1), (2, 2, 2), (4, 1, 2)])
@pytest.mark.parametrize("path", ["layers/mlp/down_proj/kernel", "embed/embedding", "layers/attn/q_proj/bias"])
def test_each_number_is_read_once_however_many_devices_hold_it(shape, path):
    sizes = {"layers/mlp/down_proj/kernel": (5, 16, 8), "embed/embedding": (24, 16), "layers/attn/q_proj/bias": (5, 16)}
    array = np.arange(np.prod(sizes[path]), dtype=np.float32).reshape(sizes[path])
    leaf = DiskLeaf(array, path.startswith("layers"))
    loaded = load_leaf(leaf, np.float32, param_shardings(compute_mesh(*shape), {path: leaf})[path])
    np.testing.assert_array_equal(loaded, array)
    assert leaf.asked == array.size
