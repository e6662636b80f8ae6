"""config.json: the published ones parse, everything the decoder would compute differently is refused, all at once."""

import json
import math

import jax
import pytest

from jaxtrunc.core.errors import InputError
from jaxtrunc.models import abstract_params, read_config
from jaxtrunc.models.config import RopeConfig

QWEN = {
    "model_type": "qwen2", "vocab_size": 100, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-6,
    "rope_theta": 1e6, "tie_word_embeddings": False, "hidden_act": "silu",
}  # fmt: skip
LLAMA = QWEN | {"model_type": "llama"}
LLAMA3 = {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192,
          "rope_type": "llama3"}  # fmt: skip


def read(folder, config):
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return read_config(folder)


def without(config, *names):
    return {name: value for name, value in config.items() if name not in names}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("qwen2.5-0.5b-instruct", 494_032_768), ("qwen2.5-1.5b-instruct", 1_543_714_304), ("llama-3.2-1b", 1_235_814_400)],
)
def test_published_configs_have_the_published_parameter_count(shared_data, tmp_path, name, parameters):
    cfg = read(tmp_path, (shared_data / "tokenizers" / "configs" / f"{name}.json").read_text())
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(abstract_params(cfg))) == parameters


def test_a_family_that_is_not_there_yet(shared_data, tmp_path):
    text = (shared_data / "tokenizers" / "configs" / "gemma-2-2b.json").read_text()
    with pytest.raises(InputError, match=r"config.json: model_type: expected one of llama, qwen2, found 'gemma2'"):
        read(tmp_path, text)


def test_old_and_new_rotary_fields_mean_the_same(tmp_path):
    old = read(tmp_path, LLAMA | {"rope_theta": 5e5, "rope_scaling": LLAMA3})
    new = read(tmp_path, without(LLAMA, "rope_theta") | {"rope_parameters": LLAMA3 | {"rope_theta": 5e5}})
    assert old == new and old.rope == RopeConfig(5e5, "llama3", 32.0, 1.0, 4.0, 8192)


def test_the_oldest_spelling_of_rotary_scaling(tmp_path):
    cfg = read(tmp_path, LLAMA | {"rope_scaling": {"type": "linear", "factor": 2.0}})
    assert cfg.rope == RopeConfig(1e6, "linear", 2.0)


def test_configs_written_by_transformers(tmp_path):
    """What save_pretrained writes today, with every field it adds, reads back as the same model."""
    from transformers import LlamaConfig, Qwen2Config

    for kind, given in ((Qwen2Config, QWEN), (LlamaConfig, LLAMA)):
        rope = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}
        kind(**without(given, "model_type", "rope_theta"), **rope).save_pretrained(tmp_path)
        written = read_config(tmp_path)
        assert written == read(tmp_path, given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
            "rope_type: expected one of default, linear, llama3, found 'yarn'",
        ),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 4.0}}, "low_freq_factor: expected a positive number, found nothing"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 4.0, "beta": 2}}, "beta: expected no such field"),
        ({"rope_scaling": 3}, "rope_scaling: expected an object, found 3"),
        ({"use_sliding_window": True, "max_window_layers": 1}, "use_sliding_window: expected false"),
        ({"use_sliding_window": True}, "use_sliding_window: expected false"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "layer_types: expected 2 times full_attention"),
        ({"attention_dropout": 0.1}, "attention_dropout: expected 0, found 0.1"),
        ({"hidden_act": "gelu"}, "hidden_act: expected silu, found 'gelu'"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor: expected 1"),
        ({"logit_scale": 0.25}, "logit_scale: expected no such field"),
        ({"quantization_config": {"bits": 4}}, "quantization_config: expected no such field"),
        ({"chunk_size_feed_forward": 7}, "chunk_size_feed_forward: expected the default 0"),
        ({"num_hidden_layers": 2_000_000_000}, "num_hidden_layers: expected a whole number from 1 to 10000"),
        ({"num_hidden_layers": True}, "num_hidden_layers: expected a whole number"),
        ({"rms_norm_eps": "tiny"}, "rms_norm_eps: expected a positive number, found 'tiny'"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps: expected a positive number, found nan"),
        ({"num_key_value_heads": 3}, "num_key_value_heads: expected a divisor of num_attention_heads 4, found 3"),
        ({"num_attention_heads": 5, "num_key_value_heads": 5}, "num_attention_heads: expected a divisor of hidden_size 32"),
        ({"head_dim": 7}, "head_dim: expected an even number"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings: expected true or false"),
    ],
)
def test_refused(tmp_path, change, message):
    with pytest.raises(InputError) as caught:
        read(tmp_path, QWEN | change)
    assert message in str(caught.value) and str(tmp_path / "config.json") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["rope_theta", "rms_norm_eps", "num_key_value_heads", "num_hidden_layers", "vocab_size"])
def test_numbers_that_matter_have_no_default(tmp_path, name):
    with pytest.raises(InputError, match=f"{name}: expected .*, found nothing"):
        read(tmp_path, without(QWEN, name))


def test_all_faults_stand_in_one_message(tmp_path):
    with pytest.raises(InputError) as caught:
        read(tmp_path, without(QWEN, "rope_theta", "rms_norm_eps") | {"hidden_act": "relu", "alibi": True})
    assert all(word in str(caught.value) for word in ("rope_theta", "rms_norm_eps", "hidden_act", "alibi"))


@pytest.mark.parametrize(
    "change",
    [
        {"use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 1},
        {"torch_dtype": "bfloat16", "use_cache": True, "initializer_range": 0.02, "transformers_version": "4.43.1"},
        {"layer_types": ["full_attention"] * 2, "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": [1, 2]},
        {"temperature": 0.7, "do_sample": True, "quantization_config": None, "return_dict": True},
    ],
)
def test_fields_that_change_no_number_are_fine(tmp_path, change):
    assert read(tmp_path, QWEN | change) == read(tmp_path, QWEN)


@pytest.mark.parametrize("text", ["", "[1]", '{"model_type": "qwen2"', '{"model_type": ["qwen2"]}'])
def test_not_a_config_at_all(tmp_path, text):
    with pytest.raises(InputError, match=r"config\.json"):
        read(tmp_path, text)
