"""Tiny random transformers models and the other side of every parity test."""

import numpy as np

VOCAB = 61
# For `jax.jit` in tests that compile a program for every case and run it once: a third of the time, the same mathematics.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
COMMON = {
    "vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 56, "num_hidden_layers": 3, "num_attention_heads": 4,
    "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
}  # fmt: skip
LLAMA3 = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}  # fmt: skip
FULL, SLIDING = "full_attention", "sliding_attention"
SLIDES = {"use_sliding_window": True, "sliding_window": 9}
QWEN3 = {"num_key_value_heads": 2, "head_dim": 16}
MISTRAL = {"num_key_value_heads": 2, "sliding_window": 9}
GEMMA2 = {"num_key_value_heads": 2, "head_dim": 16, "sliding_window": 9, "query_pre_attn_scalar": 24,
          "attn_logit_softcapping": 3.0, "final_logit_softcapping": 4.0}  # fmt: skip
CASES = {
    "qwen2 4/4 heads": ("qwen2", {"num_key_value_heads": 4}),
    "qwen2 4/2 heads, tied": ("qwen2", {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "qwen2 4/1 heads": ("qwen2", {"num_key_value_heads": 1}),
    "llama 4/2 heads, tied": ("llama", {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "llama biases everywhere": ("llama", {"num_key_value_heads": 4, "attention_bias": True, "mlp_bias": True}),
    "llama wide heads": ("llama", {"num_key_value_heads": 1, "head_dim": 16}),
    "llama3 scaling": ("llama", {"num_key_value_heads": 2, "head_dim": 16, "rope_parameters": LLAMA3}),
    "linear scaling": ("llama", {"rope_parameters": {"rope_type": "linear", "factor": 3.0, "rope_theta": 1e4}}),
    "qwen3": ("qwen3", QWEN3),
    "gemma2": ("gemma2", GEMMA2),
    "mistral": ("mistral", MISTRAL),
}
# What sets a family apart, switched the other way: logits only, scanned and unrolled.
VARIANTS = {
    "qwen2, upper layers slide": ("qwen2", {"num_key_value_heads": 2, "max_window_layers": 1} | SLIDES),
    "qwen2, named layers slide": ("qwen2", {"num_key_value_heads": 2, "layer_types": [SLIDING, FULL, SLIDING]} | SLIDES),
    "qwen3 with biases, narrow heads": ("qwen3", QWEN3 | {"attention_bias": True, "head_dim": 4}),
    "qwen3 tied, upper layers slide": ("qwen3", QWEN3 | {"tie_word_embeddings": True, "max_window_layers": 2} | SLIDES),
    "gemma2, scores not capped": ("gemma2", GEMMA2 | {"attn_logit_softcapping": None}),
    "gemma2, logits not capped": ("gemma2", GEMMA2 | {"final_logit_softcapping": None}),
    "gemma2, no layer slides": ("gemma2", GEMMA2 | {"layer_types": [FULL] * 3}),
    "gemma2, all layers slide": ("gemma2", GEMMA2 | {"layer_types": [SLIDING] * 3}),
    "gemma2 untied with biases, usual heads and scale": (
        "gemma2",
        GEMMA2 | {"tie_word_embeddings": False, "attention_bias": True, "head_dim": 8, "query_pre_attn_scalar": 8},
    ),
    "mistral, no layer slides, tied": ("mistral", MISTRAL | {"sliding_window": None, "tie_word_embeddings": True}),
    "mistral with wide heads": ("mistral", MISTRAL | {"head_dim": 16}),
}


def make(case: str, seed: int = 0):
    """A torch model in float32 whose every parameter (biases and norm scales too) is random and matters."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    family, changes = (CASES | VARIANTS)[case]
    config = CONFIG_MAPPING[family](**(COMMON | changes))
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + 0.2 * noise if "norm" in name else 0.25 * noise)
    return model


def tokens(batch: int, length: int, seed: int = 0) -> np.ndarray:
    """Random token ids (batch, length) int32."""
    return np.random.default_rng(seed).integers(0, VOCAB, (batch, length)).astype(np.int32)


def torch_logits(model, ids: np.ndarray, **inputs: np.ndarray) -> np.ndarray:
    """Logits of the torch model, float32 (B, T, V)."""
    import torch

    with torch.no_grad():
        given = {name: torch.from_numpy(value.astype(np.int64)) for name, value in inputs.items()}
        return model(input_ids=torch.from_numpy(ids.astype(np.int64)), **given).logits.float().numpy()
