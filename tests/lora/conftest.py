"""A tiny torch model with its PEFT twin, and the same weights in our layout."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jaxtrunc.models import DecoderConfig, hf_names, leaf_class, load_params, open_model
from jaxtrunc.train.lora import Target


@dataclass(frozen=True)
class Base:
    """A base model on disk and in memory."""

    folder: Path
    source: Any
    cfg: DecoderConfig
    params: dict

    def targets(self, layers=None) -> tuple[Target, ...]:
        """All attention and MLP matrices, or those of some layers alone."""
        leaves, names = self.source.leaves(), hf_names(self.cfg)
        layers = tuple(range(self.cfg.num_layers)) if layers is None else layers
        return tuple(Target(path, leaves[path].shape, layers, tuple(names[path][layer] for layer in layers))
                     for path in sorted(leaves) if leaf_class(self.cfg, path) == "linear")


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Base:
    """Random Qwen2: grouped heads, biases, a tied head; made by transformers."""
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM, Qwen2Config

    config = Qwen2Config(vocab_size=24, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=1, max_position_embeddings=64, tie_word_embeddings=True, initializer_range=0.2)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("lora") / "base"
    AutoModelForCausalLM.from_config(config).float().save_pretrained(folder)
    source = open_model(folder)
    return Base(folder, source, source.cfg, load_params(source.leaves()))


@pytest.fixture
def torch_base(base):
    """The same in torch, anew for each test."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(base.folder, attn_implementation="eager").float().eval()


@pytest.fixture(scope="session", autouse=True)
def compiled_once(compilation_cache):
    """Several tests compile the same step."""
