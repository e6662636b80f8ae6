"""Opening and loading a model directory: layout, sharding, and every way its tensors can be wrong."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.trees import flatten
from jaxtrunc.models import hf_names, leaf_class, load_params, open_model

Q1 = "model.layers.1.self_attn.q_proj.weight"


def edit(directory, **config):
    """Change the config and return the tensors, which `put` writes back."""
    file = directory / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    return load_file(directory / "model.safetensors")


def put(directory, tensors):
    save_file(tensors, directory / "model.safetensors")


def test_leaves_are_the_transposed_tensors(directory):
    tensors, source = load_file(directory / "model.safetensors"), open_model(directory)
    names = hf_names(source.cfg)
    for path, leaf in flatten(load_params(source.leaves())).items():
        lazy = source.leaves()[path]
        assert lazy.shape == leaf.shape and len(lazy) == len(names[path])
        for layer, name in enumerate(names[path]):
            expected = tensors[name].T if path.endswith("kernel") else tensors[name]
            np.testing.assert_array_equal(lazy[layer], expected)
            np.testing.assert_array_equal(leaf[layer] if len(lazy) > 1 else leaf, expected)
    assert sum(map(len, names.values())) == len(tensors)


def test_every_leaf_has_a_class(directory):
    cfg = open_model(directory).cfg
    classes = {path: leaf_class(cfg, path) for path in hf_names(cfg)}
    linear = [path for path in classes if path.endswith("_proj/kernel")]
    assert len(linear) == 7 and all(classes[path] == "linear" for path in linear)
    assert classes["embed/embedding"] == "embedding" and classes["lm_head/kernel"] == "lm_head"
    assert all(classes[path] == "vector" for path in classes if path.endswith(("bias", "scale")))
    assert leaf_class(cfg, "layers/router/kernel") == "other"


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_sharded_loading_equals_loading(directory, dtype):
    source = open_model(directory)
    whole = load_params(source.leaves(), dtype)
    types = (jax.sharding.AxisType.Auto,) * 2
    mesh = jax.make_mesh((3, 2), ("layer", "tensor"), axis_types=types, devices=jax.devices()[:6])

    def place(leaf):
        first = "layer" if leaf.shape[0] == source.cfg.num_layers else None
        axes = {3: (first, None, "tensor"), 2: (first, "tensor"), 1: ()}[leaf.ndim]
        return jax.NamedSharding(mesh, jax.P(*axes))

    shardings = jax.tree.map(place, whole)
    parts = load_params(source.leaves(), dtype, flatten(shardings))
    jax.tree.map(np.testing.assert_array_equal, parts, whole)
    kernel = parts["layers"]["mlp"]["up_proj"]["kernel"]
    assert kernel.dtype == dtype and kernel.addressable_shards[0].data.shape == (1, 8, 6)


def test_all_tensor_faults_stand_in_one_message(directory):
    tensors = edit(directory)
    tensors["model.extra.weight"] = np.zeros(3, np.float32)
    tensors[Q1] = np.zeros((4, 8), np.float32)
    tensors["model.norm.weight"] = np.ones(8, np.int32)
    del tensors["model.layers.2.mlp.up_proj.weight"]
    put(directory, tensors)
    with pytest.raises(InputError) as caught:
        open_model(directory)
    text = str(caught.value)
    assert "'model.extra.weight' is unknown" in text and "'model.layers.2.mlp.up_proj.weight' is missing" in text
    assert f"'{Q1}' should have shape [8, 8], model.safetensors has [4, 8]" in text
    assert "'model.norm.weight' has dtype int32" in text and str(directory) in text and "\n" not in text


@pytest.mark.parametrize("layers", [2, 4, 40])
def test_another_number_of_layers(directory, layers):
    edit(directory, num_hidden_layers=layers)
    with pytest.raises(InputError, match=rf"num_hidden_layers is {layers} there, the files hold 3 layers") as caught:
        open_model(directory)
    assert "config.json" in str(caught.value) and f"'model.layers.{min(layers, 3)}." in str(caught.value)
    assert len(str(caught.value)) < 2000  # a dozen names, the rest counted


def test_tied_config_with_an_equal_head_is_accepted(directory):
    tensors = edit(directory, tie_word_embeddings=True)
    put(directory, tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].copy()})
    assert "lm_head" not in load_params(open_model(directory).leaves())


def test_tied_config_with_another_head_is_refused(directory):
    edit(directory, tie_word_embeddings=True)
    with pytest.raises(InputError, match=r"tie_word_embeddings true, but 'lm_head.weight' differs"):
        open_model(directory)


def test_untied_config_without_a_head_is_refused(directory):
    tensors = edit(directory)
    del tensors["lm_head.weight"]
    put(directory, tensors)
    with pytest.raises(InputError, match=r"tie_word_embeddings is false there, but the files hold no 'lm_head.weight'"):
        open_model(directory)


def test_old_rotary_buffers_are_passed_over(directory):
    tensors = edit(directory)
    put(directory, tensors | {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(2, np.float32)})
    assert "layers" in load_params(open_model(directory).leaves())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [Q1, "model.embed_tokens.weight", "model.norm.weight"])
def test_not_finite(directory, bad, name):
    tensors = edit(directory)
    tensors[name] = tensors[name].copy()
    tensors[name].flat[3] = bad
    put(directory, tensors)
    source = open_model(directory)
    with pytest.raises(InputError, match=rf"model.safetensors: tensor '{name}' holds 1 NaN or infinite values"):
        load_params(source.leaves())


def test_only_pickles(directory):
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model.bin is a pickle, which is never opened"):
        open_model(directory)
