"""A tiny torch model, made anew with the same weights at each call."""

import pytest


@pytest.fixture
def tiny_torch():
    """`(torch, make)`; `make(layers)` gives a random Qwen2 model, always the same one."""
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM, Qwen2Config

    def make(layers=2):
        config = Qwen2Config(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=layers,
                             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
                             tie_word_embeddings=True)
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config).float().eval()

    return torch, make
