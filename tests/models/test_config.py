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
MISTRAL = QWEN | {"model_type": "mistral", "sliding_window": 8}
QWEN3 = QWEN | {"model_type": "qwen3", "head_dim": 16}
GEMMA2 = QWEN | {
    "model_type": "gemma2", "head_dim": 16, "sliding_window": 8, "query_pre_attn_scalar": 24, "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": None, "hidden_activation": "gelu_pytorch_tanh",
}  # fmt: skip
FAMILIES = (QWEN, LLAMA, MISTRAL, QWEN3, GEMMA2)
FULL, SLIDING = "full_attention", "sliding_attention"
SLIDES = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}
LLAMA3 = {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192,
          "rope_type": "llama3"}  # fmt: skip


def read(folder, config):
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return read_config(folder)


def without(config, *names):
    return {name: value for name, value in config.items() if name not in names}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("qwen2.5-0.5b-instruct", 494_032_768),
        ("qwen2.5-1.5b-instruct", 1_543_714_304),
        ("llama-3.2-1b", 1_235_814_400),
        ("gemma-2-2b", 2_614_341_888),
        ("gemma-2-9b", 9_241_705_984),
    ],
)
def test_published_configs_have_the_published_parameter_count(shared_data, tmp_path, name, parameters):
    cfg = read(tmp_path, (shared_data / "tokenizers" / "configs" / f"{name}.json").read_text())
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(abstract_params(cfg))) == parameters


def test_a_family_that_is_not_there(tmp_path):
    known = "gemma2, llama, mistral, qwen2, qwen3"
    with pytest.raises(InputError, match=rf"config.json: model_type: expected one of {known}, found 'gpt_neox'"):
        read(tmp_path, QWEN | {"model_type": "gpt_neox"})


def test_old_and_new_rotary_fields_mean_the_same(tmp_path):
    old = read(tmp_path, LLAMA | {"rope_theta": 5e5, "rope_scaling": LLAMA3})
    new = read(tmp_path, without(LLAMA, "rope_theta") | {"rope_parameters": LLAMA3 | {"rope_theta": 5e5}})
    assert old == new and old.rope == RopeConfig(5e5, "llama3", 32.0, 1.0, 4.0, 8192)


def test_the_oldest_spelling_of_rotary_scaling(tmp_path):
    cfg = read(tmp_path, LLAMA | {"rope_scaling": {"type": "linear", "factor": 2.0}})
    assert cfg.rope == RopeConfig(1e6, "linear", 2.0)


@pytest.mark.parametrize(
    "given", [*FAMILIES, QWEN | SLIDES, QWEN3 | SLIDES, MISTRAL | {"sliding_window": None}, without(GEMMA2, "tie_word_embeddings")]
)
def test_configs_written_by_transformers(tmp_path, given):
    """What save_pretrained writes today, with every field it adds, reads back as the same model."""
    from transformers import CONFIG_MAPPING

    rope = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}
    CONFIG_MAPPING[given["model_type"]](**without(given, "model_type", "rope_theta"), **rope).save_pretrained(tmp_path)
    written = read_config(tmp_path)
    assert written == read(tmp_path, given)


@pytest.mark.parametrize(
    ("config", "window", "layers"),
    [
        (QWEN | SLIDES, 8, (False, True)),
        (QWEN3 | SLIDES | {"max_window_layers": 0}, 8, (True, True)),
        (QWEN3 | SLIDES | {"max_window_layers": 2}, None, ()),
        (QWEN | SLIDES | {"layer_types": [SLIDING, FULL]}, 8, (True, False)),
        (QWEN | SLIDES | {"sliding_window": None}, None, ()),
        (MISTRAL, 8, (True, True)),
        (MISTRAL | {"sliding_window": None}, None, ()),
        (GEMMA2, 8, (True, False)),
        (GEMMA2 | {"layer_types": [FULL, SLIDING]}, 8, (False, True)),
        (GEMMA2 | {"layer_types": [FULL, FULL], "sliding_window": None}, None, ()),
    ],
)
def test_layers_that_slide(tmp_path, config, window, layers):
    cfg = read(tmp_path, config)
    assert (cfg.sliding_window, cfg.sliding_layers) == (window, layers)


def test_only_gemma2_is_tied_unless_it_says_otherwise(tmp_path):
    tied = [cfg["model_type"] for cfg in FAMILIES if read(tmp_path, without(cfg, "tie_word_embeddings")).tie_embeddings]
    assert tied == ["gemma2"]


def test_the_activation_of_gemma2_is_hidden_activation(tmp_path):
    assert read(tmp_path, GEMMA2 | {"hidden_act": "gelu"}) == read(tmp_path, without(GEMMA2, "hidden_act", "hidden_activation"))
    with pytest.raises(InputError, match="hidden_activation: expected gelu_pytorch_tanh, found 'silu'"):
        read(tmp_path, GEMMA2 | {"hidden_activation": "silu"})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (without(QWEN3, "head_dim"), "head_dim: expected a whole number from 1 to 2147483647, found nothing"),
        (without(GEMMA2, "head_dim"), "head_dim: expected a whole number"),
        (QWEN3 | {"head_dim": 7}, "head_dim: expected an even number"),
        (QWEN3 | {"attention_bias": "no"}, "attention_bias: expected true or false"),
        (QWEN3 | {"layer_types": [SLIDING, FULL]}, "layer_types: expected 2 times full_attention, as no sliding_window is in use"),
        (QWEN3 | {"num_experts": 8}, "num_experts: expected no such field"),
        (without(MISTRAL, "sliding_window"), "sliding_window: expected a whole number"),
        (MISTRAL | {"layer_types": [FULL, FULL]}, "layer_types: expected 2 times sliding_attention"),
        (MISTRAL | {"sliding_window": 0}, "sliding_window: expected a whole number from 1"),
        (LLAMA | {"layer_types": [SLIDING, SLIDING]}, "layer_types: expected 2 times full_attention"),
        (LLAMA | {"sliding_window": 8}, "sliding_window: expected no such field"),
        (MISTRAL | {"attention_bias": True}, "attention_bias: expected no such field"),
        (without(GEMMA2, "query_pre_attn_scalar"), "query_pre_attn_scalar: expected a positive number, found nothing"),
        (without(GEMMA2, "attn_logit_softcapping"), "attn_logit_softcapping: expected a positive number, found nothing"),
        (GEMMA2 | {"final_logit_softcapping": 0}, "final_logit_softcapping: expected a positive number, found 0"),
        (GEMMA2 | {"sliding_window": None}, "layer_types: expected 2 times full_attention, as no sliding_window is in use"),
        (GEMMA2 | {"layer_types": [FULL]}, "layer_types: expected 2 times full_attention or sliding_attention"),
        (GEMMA2 | {"layer_types": "sliding_attention"}, "layer_types: expected 2 times full_attention or sliding_attention"),
        (GEMMA2 | {"use_bidirectional_attention": True}, "use_bidirectional_attention: expected the default None"),
        (GEMMA2 | {"rope_parameters": {"full_attention": {"rope_theta": 1e4}}}, "full_attention: expected no such field"),
    ],
)
def test_refused_by_its_family(tmp_path, config, message):
    with pytest.raises(InputError) as caught:
        read(tmp_path, config)
    assert str(caught.value).count(": expected") == 1 and message in str(caught.value)


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
        ({"use_sliding_window": True, "max_window_layers": 1}, "sliding_window: expected a whole number"),
        ({"use_sliding_window": True, "sliding_window": 8}, "max_window_layers: expected a whole number from 0"),
        ({"layer_types": [FULL, SLIDING]}, "layer_types: expected 2 times full_attention, as no sliding_window is in use"),
        (SLIDES | {"layer_types": [FULL, "chunked"]}, "layer_types: expected 2 times full_attention or sliding_attention"),
        ({"attention_dropout": 0.1}, "attention_dropout: expected 0, found 0.1"),
        ({"hidden_act": "gelu"}, "hidden_act: expected silu, found 'gelu'"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor: expected 1"),
        ({"logit_scale": 0.25}, "logit_scale: expected no such field"),
        ({"quantization_config": {"bits": 4}}, "quantization_config: expected no such field"),
        ({"chunk_size_feed_forward": 7}, "chunk_size_feed_forward: expected the default 0"),
        ({"num_hidden_layers": 2_000_000_000}, "num_hidden_layers: expected a whole number from 1 to 10000"),
        ({"num_hidden_layers": True}, "num_hidden_layers: expected a whole number"),
        ({"rms_norm_eps": "tiny"}, "rms_norm_eps: expected a positive number, found 'tiny'"),
        ({"rms_norm_eps": float("nan")}, "not valid JSON (NaN is no JSON number)"),
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
