"""Files that must not become an autoencoder: one sentence that names file and key, whatever is wrong."""

import io
import json
import zipfile

import numpy as np
import pytest
import sae_files as files
from safetensors.numpy import load_file, save_file

from jaxtrunc.core.errors import InputError
from jaxtrunc.sae.formats import load_sae
from jaxtrunc.sae.sites import Site

ARRAYS = files.random_arrays()
WEIGHTS = {"gemma_scope": "params.npz", "llama_scope": "checkpoints/final.safetensors", "sparsify": "sae.safetensors",
           "jumprelu": "sae_weights.safetensors", "gated": "sae_weights.safetensors"}
ENCODER = {"gemma_scope": "W_enc", "llama_scope": "encoder.weight", "sparsify": "encoder.weight"}
SETTINGS = {"llama_scope": "hyperparams.json"}


def refused(folder, *words, **given):
    """Loading raises one sentence with all these words."""
    with pytest.raises(InputError) as caught:
        load_sae(folder, **given)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), caught.value


def edited(tmp_path, name, change):
    """The directory with its tensors changed by a function; and the file they are in."""
    folder = files.WRITERS[name](tmp_path, ARRAYS)
    file = folder / WEIGHTS[name]
    npz = file.suffix == ".npz"
    tensors = dict(np.load(file)) if npz else load_file(file)
    change(tensors)
    if npz:
        np.savez(file, **tensors)
    else:
        save_file({key: np.ascontiguousarray(array) for key, array in tensors.items()}, file)
    return folder, file


@pytest.mark.parametrize("name", WEIGHTS)
def test_transposed(tmp_path, name):
    key = ENCODER.get(name, "W_enc")
    folder, file = edited(tmp_path, name, lambda tensors: tensors.update({key: tensors[key].T}))
    refused(folder, str(file), f"'{key}'", "transposed")


@pytest.mark.parametrize("name", WEIGHTS)
def test_all_matrices_transposed(tmp_path, name):
    folder, file = edited(tmp_path, name, lambda tensors: tensors.update(
        {key: array.T for key, array in tensors.items() if array.ndim == 2}))
    refused(folder, str(file), "transposed")


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_missing_key(tmp_path, name):
    for number, key in enumerate(("decoder.bias" if name == "llama_scope" else "b_dec", ENCODER.get(name, "W_enc"))):
        folder, file = edited(tmp_path / str(number), name, lambda tensors, key=key: tensors.pop(key))
        refused(folder, str(file), f"'{key}' is missing")


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(tmp_path, name, value):
    key = ENCODER.get(name, "W_enc")
    folder, file = edited(tmp_path, name, lambda tensors: tensors.update({key: np.where(tensors[key] < 2, value, 0)}))
    refused(folder, str(file), f"'{key}'", "NaN or infinite")


@pytest.mark.parametrize("name", WEIGHTS)
def test_truncated_anywhere(tmp_path, name):
    folder = files.WRITERS[name](tmp_path, ARRAYS)
    file = folder / WEIGHTS[name]
    whole = file.read_bytes()
    for length in (0, 3, 8, 60, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        refused(folder, str(file))


@pytest.mark.parametrize("name", WEIGHTS)
def test_any_flipped_byte_is_refused_or_read(tmp_path, name):
    """No damage gives a traceback; in the data of a safetensors file it cannot be seen."""
    folder = files.WRITERS[name](tmp_path, ARRAYS)
    file = folder / WEIGHTS[name]
    whole = file.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 60):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            assert load_sae(folder, fold=False).n == files.N
        except InputError as error:
            assert str(file) in str(error)


def test_arrays_of_the_wrong_kind(tmp_path):
    folder, file = edited(tmp_path / "a", "gemma_scope", lambda t: t.update(b_enc=t["b_enc"][None]))
    refused(folder, str(file), "b_enc", "one axis")
    folder, file = edited(tmp_path / "b", "gemma_scope", lambda t: t.update(W_dec=(100 * t["W_dec"]).astype(np.int32)))
    refused(folder, str(file), "W_dec", "int32")
    folder, file = edited(tmp_path / "c", "gemma_scope", lambda t: t.update(threshold=t["threshold"][:-1]))
    refused(folder, str(file), "threshold", "shape")
    folder, file = edited(tmp_path / "d", "jumprelu", lambda t: t.update(W_skip=np.zeros((6, 6), np.float32)))
    refused(folder, str(file), "W_skip")
    folder, file = edited(tmp_path / "e", "jumprelu", lambda t: t.update(scaling_factor=np.full(files.N, 2, np.float32)))
    refused(folder, str(file), "scaling_factor")
    folder, file = edited(tmp_path / "f", "sparsify", lambda t: t.update(W_skip=np.zeros((6, 6), np.float32)))
    refused(folder, str(file), "W_skip", "skip connection")
    folder, file = edited(tmp_path / "g", "llama_scope", lambda t: t.update({"encoder_glu.weight": np.zeros(3, np.float32)}))
    refused(folder, str(file), "encoder_glu.weight")


def test_an_archive_of_objects_or_of_zeros_without_end(tmp_path):
    folder = files.write_gemma_scope(tmp_path, ARRAYS)
    file = folder / "params.npz"
    np.savez(file, W_enc=np.array([{}], object))
    refused(folder, str(file), "objects")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)})
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("W_enc.npy", header.getvalue() + bytes(1 << 20))
    refused(folder, str(file), "does not fill")


@pytest.mark.parametrize(("name", "settings", "words"), [
    ("jumprelu", {"normalize_activations": "layer_norm"}, ("normalize_activations", "layer_norm")),
    ("jumprelu", {"normalize_activations": "expected_average_only_in"}, ("normalize_activations",)),
    ("jumprelu", {"normalize_activations": True}, ("normalize_activations",)),
    ("jumprelu", {"architecture": "jumprelu_transcoder"}, ("architecture", "jumprelu_transcoder")),
    ("jumprelu", {"activation_fn": "tanh-relu"}, ("activation_fn", "tanh-relu")),
    ("jumprelu", {"d_sae": files.N + 1}, ("d_sae", str(files.N))),
    ("jumprelu", {"d_in": None}, ("d_in", "nothing")),
    ("jumprelu", {"apply_b_dec_to_input": "yes"}, ("apply_b_dec_to_input", "true or false")),
    ("jumprelu", {"finetuning_scaling_factor": True}, ("finetuning_scaling_factor",)),
    ("jumprelu", {"metadata": {"hook_name": "blocks.3.hook_mlp_in"}}, ("hook_name", "hook_mlp_in", "hook_resid_post")),
    ("jumprelu", {"metadata": {"hook_name": "blocks.0.hook_resid_pre"}}, ("hook_name", "embedding")),
    ("jumprelu", {"metadata": {"hook_name": "blocks.3.attn.hook_z", "hook_head_index": 2}}, ("hook_head_index",)),
    ("jumprelu", {"metadata": []}, ("metadata", "an object")),
    ("topk", {"k": None}, ("cfg.json", "k", "nothing")), ("topk", {"k": 0}, ("k", "at least 1")),
    ("topk", {"k": files.N + 1}, ("k", "at most")), ("old", {"activation_fn_kwargs": {}}, ("cfg.json: k",)),
    ("llama_scope", {"norm_activation": "token-wise"}, ("norm_activation", "token-wise")),
    ("llama_scope", {"act_fn": "topk"}, ("act_fn", "topk")), ("llama_scope", {"use_glu_encoder": True}, ("use_glu_encoder",)),
    ("llama_scope", {"jump_relu_threshold": None}, ("jump_relu_threshold", "nothing")),
    ("llama_scope", {"dataset_average_activation_norm": {"in": 0}}, ("dataset_average_activation_norm.in",)),
    ("llama_scope", {"dataset_average_activation_norm": {"in": 64, "out": 3}}, ("activation_norm.out", "transcoder")),
    ("llama_scope", {"hook_point_out": "blocks.8.hook_mlp_out"}, ("hook_point_out", "transcoder")),
    ("llama_scope", {"d_model": 7}, ("d_model", "6")),
    ("sparsify", {"activation": "groupmax"}, ("activation", "groupmax")), ("sparsify", {"transcode": True}, ("transcode",)),
    ("sparsify", {"skip_connection": True}, ("skip_connection",)), ("sparsify", {"num_latents": 21}, ("num_latents", "20")),
    ("sparsify", {"num_latents": 0, "expansion_factor": 5}, ("expansion_factor",)), ("sparsify", {"k": 1.5}, ("k", "whole number")),
])  # fmt: skip
def test_settings_that_would_compute_something_else(tmp_path, name, settings, words):
    folder = files.WRITERS[name](tmp_path, ARRAYS)
    file = folder / SETTINGS.get(name, "cfg.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    refused(folder, str(file), *words)


def test_transcoders_and_the_embedding_of_gemma_scope_by_their_folders(tmp_path):
    folder = files.write_gemma_scope(tmp_path, ARRAYS)
    other = tmp_path / "gemma-scope-2b-pt-transcoders" / "layer_5"
    other.parent.mkdir()
    folder.rename(other)
    refused(other, "transcoders")
    embedding = tmp_path / "gemma-scope-2b-pt-res" / "embedding"
    other.rename(embedding)
    refused(embedding, "embedding")


def test_another_site_than_the_one_asked_for(tmp_path):
    refused(files.WRITERS["gemma_scope"](tmp_path, ARRAYS), "resid_post.5", "attn_out.5", site=Site("attn_out", 5))


def test_another_layer_than_the_one_asked_for_where_the_suite_has_another_name(tmp_path):
    files.write_gemma_scope(tmp_path, ARRAYS)
    folder = (tmp_path / "gemma-scope-2b-pt-res").rename(tmp_path / "downloaded") / "layer_5" / "width_16k" / "average_l0_68"
    refused(folder, "layer 5", "resid_post.4", site=Site("resid_post", 4))
    assert load_sae(folder, site=Site("mlp_out", 5)).facts["layer"] == 5


def test_directories_of_no_format_or_of_two(tmp_path):
    refused(tmp_path / "absent", "absent", "nothing")
    (tmp_path / "cfg.json").write_text("{}")
    refused(tmp_path, str(tmp_path), "no autoencoder", "sae_weights.safetensors", "params.npz")
    refused(tmp_path / "cfg.json", "a file")
    for name in ("sae_weights.safetensors", "sae.safetensors"):
        save_file({}, tmp_path / name)
    refused(tmp_path, "saelens and sparsify")
    (tmp_path / "sae.safetensors").unlink()
    (tmp_path / "cfg.json").write_text("[1]")
    refused(tmp_path, "cfg.json", "object")
