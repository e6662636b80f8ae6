"""Parameter counts of published models, from shapes alone (criterion 11)."""

import pytest

from jaxtrunc.models import DecoderConfig, RopeConfig
from jaxtrunc.train.accounting import count_parameters
from jaxtrunc.train.adapt_settings import AdaptSettings
from jaxtrunc.train.subspace_start import subspace_adapter

SHARED = {"max_positions": 8192, "rms_norm_eps": 1e-6, "rope": RopeConfig(theta=1e4)}
GEMMA = {"family": "gemma2", "vocab_size": 256_000, "head_dim": 256, "tie_embeddings": True, "sandwich_norms": True, **SHARED}
MODELS = {
    "gemma-2-2b": DecoderConfig(hidden_size=2304, intermediate_size=9216, num_layers=26, num_heads=8, num_kv_heads=4, **GEMMA),
    "gemma-2-9b": DecoderConfig(hidden_size=3584, intermediate_size=14336, num_layers=42, num_heads=16, num_kv_heads=8, **GEMMA),
    "llama-3.1-8b": DecoderConfig(family="llama", vocab_size=128_256, hidden_size=4096, intermediate_size=14336, num_layers=32,
                                  num_heads=32, num_kv_heads=8, head_dim=128, tie_embeddings=False, **SHARED),
}
SIZES = {"gemma-2-2b": 2_614_341_888, "gemma-2-9b": 9_241_705_984, "llama-3.1-8b": 8_030_261_248}


@pytest.mark.parametrize(("name", "per_layer", "percent"), [
    ("gemma-2-2b", 245_760, 0.244), ("gemma-2-9b", 425_984, 0.194), ("llama-3.1-8b", 425_984, 0.170)])
def test_all_attention_matrices(name, per_layer, percent):
    cfg = MODELS[name]
    found = count_parameters(subspace_adapter(cfg, {}, AdaptSettings(companions=("q", "k", "v", "o"))), cfg)
    assert found["base"] == SIZES[name] and found["frozen"] == 0
    for layer in range(cfg.num_layers):
        assert sum(each["trainable"] for key, each in found["modules"].items() if f".{layer}." in key) == per_layer
    assert found["trainable"] == per_layer * cfg.num_layers
    assert round(found["percent_of_base"], 3) == percent
    total = found["base"] + found["trainable"]
    assert found["percent_of_total"] == pytest.approx(100 * found["trainable"] / total)


@pytest.mark.parametrize(("name", "layers", "percent"), [
    ("gemma-2-2b", (5, 10, 15, 20), 0.0107), ("gemma-2-9b", (10, 15, 20, 25, 30), 0.0066),
    ("llama-3.1-8b", (10, 15, 20, 25, 30), 0.0082)])
def test_the_stated_setting(name, layers, percent):
    """Output projections of the chosen layers alone: far below the 0.24% and 0.19% that are published."""
    cfg = MODELS[name]
    modules = {("o", layer): True for layer in layers}
    found = count_parameters(subspace_adapter(cfg, modules, AdaptSettings()), cfg)
    assert round(found["percent_of_base"], 4) == percent and len(found["modules"]) == len(layers)
    frozen = count_parameters(subspace_adapter(cfg, modules, AdaptSettings(freeze_b=True)), cfg)
    assert frozen["trainable"] + frozen["frozen"] == found["trainable"]
    assert frozen["frozen"] == 16 * cfg.hidden_size * len(layers)
