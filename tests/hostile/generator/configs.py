"""config.json of a model, and weights that are not numbers."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from generator.case import DECOMPOSE, FINETUNE, RUN, WEIGHTS, Case, change_json, change_tensor, pipe, sparse

CONFIG = "config.json"
SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
)
NO_SIZES: dict[str, Any] = {"text": "16", "fraction": 16.5, "bool": True, "negative": -1, "zero": 0, "list": [16], "2**70": 2**70}


def _set(**changes: Any):
    return lambda place: change_json(place.model / CONFIG, **changes)


def _written(content: bytes):
    return lambda place: (place.model / CONFIG).write_bytes(content)


def types() -> Iterator[Case]:
    """Every size in a wrong type, and every wrong type."""
    for field, (kind, value) in zip(SIZES, NO_SIZES.items(), strict=True):
        yield Case(f"config-{field}-{kind}", _set(**{field: value}), DECOMPOSE, (CONFIG, field))
    for id, field, value in [
        ("eps-text", "rms_norm_eps", "tiny"),
        ("eps-list", "rms_norm_eps", []),
        ("eps-huge", "rms_norm_eps", 10**400),
        ("tie-number", "tie_word_embeddings", 1),
        ("window-text", "use_sliding_window", "no"),
        ("layers-text", "layer_types", "full"),
        ("layers-nested", "layer_types", [["full_attention"]] * 2),
        ("type-list", "model_type", ["qwen2"]),
        ("type-other", "model_type", "qwen99"),
    ]:
        yield Case(f"config-{id}", _set(**{field: value}), DECOMPOSE, (CONFIG, field))
    for id, rope in {
        "list": [],
        "kind-a-list": {"rope_type": [], "rope_theta": 1e4},
        "kind-an-object": {"type": {"a": 1}, "rope_theta": 1e4},
        "kind": {"rope_type": "odd", "rope_theta": 1e4},
        "theta-text": {"rope_theta": "10000"},
        "theta-negative": {"rope_theta": -1.0},
        "no-theta": {},
    }.items():
        yield Case(f"config-rope-{id}", _set(rope_parameters=rope, rope_theta=None), DECOMPOSE, (CONFIG, "rope"))


def sizes() -> Iterator[Case]:
    """Sizes that do not go together, or that nothing holds."""
    for id, changes, word in [
        ("heads-do-not-divide", {"num_attention_heads": 3}, "num_attention_heads"),
        ("head-dim-odd", {"head_dim": 7}, "head_dim"),
        ("kv-heads-do-not-divide", {"num_attention_heads": 8, "num_key_value_heads": 3}, "num_key_value_heads"),
        ("layers-a-billion", {"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ("layers-9999", {"num_hidden_layers": 9999, "layer_types": None}, "num_hidden_layers is 9999"),
        ("layers-other-than-named", {"num_hidden_layers": 3}, "layer_types"),
        ("heads-two-billion", {"num_attention_heads": 2**31 - 2, "head_dim": 2**30}, "num_attention_heads"),
        (
            "all-two-billion",
            dict.fromkeys(("vocab_size", "hidden_size", "intermediate_size"), 2**31 - 1) | {"head_dim": 2},
            "shape",
        ),
    ]:
        yield Case(f"config-{id}", _set(**changes), DECOMPOSE, (CONFIG, word))


def strangers() -> Iterator[Case]:
    """Fields of models that compute something else."""
    yield Case("config-unknown-field", _set(attention_sinks=4), DECOMPOSE, (CONFIG, "attention_sinks"))
    yield Case("config-remote-code", _set(auto_map={"AutoModelForCausalLM": "modeling_x.Model"}), FINETUNE, (CONFIG, "auto_map"))
    yield Case("config-quantised", _set(quantization_config={"bits": 4}), DECOMPOSE, (CONFIG, "quantization_config"))
    yield Case("config-other-activation", _set(hidden_act="relu"), RUN, (CONFIG, "hidden_act"))
    yield Case("config-nested-bomb", _set(extra=[[[[0] * 20] * 20] * 20]), DECOMPOSE, (CONFIG, "extra"))


def contents() -> Iterator[Case]:
    """Files that are no configuration."""
    for id, content, word in [
        ("a-list", b"[]", "object"),
        ("empty", b"", "not valid JSON"),
        ("not-utf8", b'{"a": "\xff"}', "UTF-8"),
        ("deep", b'{"a":' * 100_000, "nested too deeply"),
        ("key-twice", b'{"vocab_size": 1, "vocab_size": 2}', "twice"),
        ("half-surrogate", b'{"model_type": "\\udc00"}', "not valid JSON"),
        ("long-number", b'{"vocab_size": ' + b"1" * 9999 + b"}", "JSON"),
        ("control-characters", b'{"model_type": "\\u001b[2J\\n\\u0000"}', "model_type"),
        ("float-overflow", b'{"rms_norm_eps": 1e999}', "out of range"),
    ]:
        yield Case(f"config-{id}", _written(content), DECOMPOSE, (CONFIG, word))
    yield Case("config-nan", _set(rms_norm_eps=math.nan), DECOMPOSE, (CONFIG, "NaN"))
    yield Case("config-infinity", _set(rope_theta=math.inf), FINETUNE, (CONFIG, "Infinity"))
    yield Case("config-a-pipe", lambda place: pipe(place.model / CONFIG), DECOMPOSE, (CONFIG,), hazard=True)
    yield Case("config-huge", lambda place: sparse(place.model / CONFIG, 1 << 40), DECOMPOSE, (CONFIG, "at most"), hazard=True)


def weights() -> Iterator[Case]:
    """Checkpoints with values that are no numbers; they are read while the verb works."""

    def put(name: str, value: float):
        def change(array: np.ndarray) -> np.ndarray:
            array.flat[3] = value
            return array

        return lambda place: change_tensor(place.model / WEIGHTS, name, change)

    for id, name, value, verb in [
        ("inf-in-a-matrix", "model.layers.1.self_attn.q_proj.weight", math.inf, DECOMPOSE),
        ("nan-in-the-embedding", "model.embed_tokens.weight", math.nan, FINETUNE),
        ("minus-inf-in-a-norm", "model.layers.0.input_layernorm.weight", -math.inf, FINETUNE),
    ]:
        yield Case(f"weights-{id}", put(name, value), verb, (WEIGHTS, name, "NaN or infinite"), begins=True)


FAULTS = (types, sizes, strangers, contents, weights)
