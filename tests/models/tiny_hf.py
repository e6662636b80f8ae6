"""Tiny random transformers models and the other side of every parity test."""

import numpy as np

VOCAB = 61
COMMON = {
    "vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 56, "num_hidden_layers": 3, "num_attention_heads": 4,
    "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
}  # fmt: skip
LLAMA3 = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}  # fmt: skip
CASES = {
    "qwen2 4/4 heads": ("qwen2", {"num_key_value_heads": 4}),
    "qwen2 4/2 heads, tied": ("qwen2", {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "qwen2 4/1 heads": ("qwen2", {"num_key_value_heads": 1}),
    "llama 4/2 heads, tied": ("llama", {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "llama biases everywhere": ("llama", {"num_key_value_heads": 4, "attention_bias": True, "mlp_bias": True}),
    "llama wide heads": ("llama", {"num_key_value_heads": 1, "head_dim": 16}),
    "llama3 scaling": ("llama", {"num_key_value_heads": 2, "head_dim": 16, "rope_parameters": LLAMA3}),
    "linear scaling": ("llama", {"rope_parameters": {"rope_type": "linear", "factor": 3.0, "rope_theta": 1e4}}),
}


def make(case: str, seed: int = 0):
    """A torch model in float32 whose every parameter (biases and norm scales too) is random and matters."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

    family, changes = CASES[case]
    kind = {"qwen2": Qwen2Config, "llama": LlamaConfig}[family]
    model = AutoModelForCausalLM.from_config(kind(**(COMMON | changes)), attn_implementation="eager").float().eval()
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
