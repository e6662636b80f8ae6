"""Which tensor is the head, and that nothing else of a checkpoint is opened."""

import builtins
import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.head import final_gain, head_files, read_head

V, D = 48, 8
HEAD = np.random.default_rng(0).normal(size=(V, D)).astype(ml_dtypes.bfloat16)
OTHER = np.ones((V, D), ml_dtypes.bfloat16)


def write(folder: Path, tensors: dict, config: dict | None, shards: bool = False) -> Path:
    folder.mkdir(exist_ok=True)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    if not shards:
        save_file(tensors, folder / "model.safetensors")
        return folder
    names = {name: f"model-{number:05d}-of-{len(tensors):05d}.safetensors" for number, name in enumerate(tensors, 1)}
    for name, file in names.items():
        save_file({name: tensors[name]}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    return folder


@pytest.mark.parametrize("key, config, tied", [
    ("lm_head.weight", {"tie_word_embeddings": False}, False),
    ("unembedding.weight", {}, False),
    ("output.weight", None, None),
    ("model.embed_tokens.weight", {"tie_word_embeddings": True}, True),
    ("model.embed_tokens.weight", {"text_config": {"tie_word_embeddings": True}}, True),
    ("model.embed_tokens.weight", {"model_type": "gemma2"}, True),
    ("transformer.wte.weight", {"model_type": "gpt2"}, True)])
def test_three_shards_and_only_one_is_opened(tmp_path, monkeypatch, key, config, tied):
    folder = write(tmp_path, {"model.layers.0.x": OTHER, key: HEAD, "model.norm.weight": OTHER[0]}, config, shards=True)
    opened, real = [], builtins.open

    def watch(file, *args, **more):
        opened.append(Path(str(file)).name)
        return real(file, *args, **more)

    monkeypatch.setattr(builtins, "open", watch)
    head = read_head(folder)
    read = np.concatenate([head[0:10], head[10:V]])
    assert (head.key, head.tied, head.shape, head.dtype.name) == (key, tied, (V, D), "bfloat16")
    assert read.view(np.uint16).tolist() == HEAD.view(np.uint16).tolist(), "bits"
    assert {name for name in opened if name.endswith(".safetensors")} == {"model-00002-of-00003.safetensors"}


def test_the_other_shards_need_not_even_be_there(tmp_path):
    folder = write(tmp_path, {"model.layers.0.x": OTHER, "lm_head.weight": HEAD}, {}, shards=True)
    (folder / "model-00001-of-00002.safetensors").unlink()
    assert read_head(folder).info.file.name == "model-00002-of-00002.safetensors"


def test_order_of_keys_and_a_key_of_ones_own(tmp_path):
    folder = write(tmp_path, {"model.embed_tokens.weight": OTHER, "output.weight": OTHER, "lm_head.weight": HEAD},
                   {"tie_word_embeddings": True})
    assert read_head(folder).key == "lm_head.weight"
    assert read_head(folder, "model.embed_tokens.weight").key == "model.embed_tokens.weight"


@pytest.mark.parametrize("name, tensors, config, words", [
    ("untied", {"model.embed_tokens.weight": HEAD}, {"tie_word_embeddings": False}, ["lm_head.weight", "tie_word_embeddings"]),
    ("family that is not tied", {"model.embed_tokens.weight": HEAD}, {"model_type": "llama"}, ["lm_head.weight", "--key"]),
    ("packed", {"lm_head.weight_packed": HEAD}, {}, ["lm_head.weight_packed", "quantised"]),
    ("integers", {"lm_head.weight": np.ones((V, D), np.int8)}, {}, ["lm_head.weight", "int8", "quantised"]),
    ("eight bits", {"lm_head.weight": HEAD.astype(ml_dtypes.float8_e4m3fn)}, {}, ["lm_head.weight", "float8_e4m3fn"]),
    ("vector", {"lm_head.weight": HEAD[:, 0].copy()}, {}, ["lm_head.weight", "[48]"]),
    ("lying down", {"lm_head.weight": HEAD.T.copy()}, {}, ["lm_head.weight", "[8, 48]", "rows"]),
    ("one column", {"lm_head.weight": HEAD[:, :1].copy()}, {}, ["lm_head.weight", "[48, 1]"])])
def test_what_is_no_head_is_refused(tmp_path, name, tensors, config, words):
    folder = write(tmp_path, tensors, config)
    with pytest.raises(InputError) as caught:
        read_head(folder)
    assert all(word in str(caught.value) for word in (*words, str(tmp_path))), str(caught.value)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2


@pytest.mark.parametrize("fault, words", [("key", ["lm_head.weigth", "did you mean 'lm_head.weight'"]),
                                          ("shard", ["model-00001-of-00001.safetensors", "missing"]),
                                          ("index", ["weight_map"]), ("absent", ["lm_head.weight", "does not hold it"]),
                                          ("nothing", ["no model.safetensors"]), ("config", ["config.json"])])
def test_damaged_directories_are_refused(tmp_path, fault, words):
    folder = write(tmp_path, {"lm_head.weight": HEAD}, {}, shards=True)
    shard, index = folder / "model-00001-of-00001.safetensors", folder / "model.safetensors.index.json"
    if fault in ("shard", "nothing"):
        shard.unlink()
    if fault in ("index", "nothing"):
        index.write_text("{}") if fault == "index" else index.unlink()
    if fault == "absent":
        save_file({"another": HEAD}, shard)
    if fault == "config":
        (folder / "config.json").write_text("[]")
    with pytest.raises(InputError) as caught:
        read_head(folder, "lm_head.weigth" if fault == "key" else None)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_the_gain_of_the_norm_before_the_head(tmp_path):
    folder = write(tmp_path, {"lm_head.weight": HEAD, "model.norm.weight": HEAD[0]}, {})
    np.testing.assert_array_equal(final_gain(folder, "llama", D), HEAD[0].astype(float))
    np.testing.assert_array_equal(final_gain(folder, "gemma2", D), 1 + HEAD[0].astype(float))
    with pytest.raises(InputError, match=r"model.norm.weight.*\[9\]"):
        final_gain(folder, "llama", 9)


def test_which_file_to_fetch_is_known_from_the_index_alone(tmp_path):
    folder = write(tmp_path, {"model.layers.0.x": OTHER, "lm_head.weight": HEAD, "model.norm.weight": OTHER[0]}, {}, shards=True)
    for file in folder.glob("*.safetensors"):
        file.unlink()
    assert head_files(folder) == ["model-00002-of-00003.safetensors"]
    assert head_files(folder, gain=True) == ["model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors"]
    (folder / "model.safetensors.index.json").unlink()
    assert head_files(folder) == ["model.safetensors"]
