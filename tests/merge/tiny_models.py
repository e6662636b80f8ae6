"""A tiny Qwen2 and models tuned from it: Hugging Face directories made without torch, the same bytes everywhere."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from jaxtrunc.core.safetensors import open_checkpoint
from jaxtrunc.models import read_config, write_model
from jaxtrunc.models.table import hf_shapes

CONFIG = {
    "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "hidden_act": "silu", "vocab_size": 32, "hidden_size": 16,
    "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-6,
    "rope_theta": 1e4, "max_position_embeddings": 64, "tie_word_embeddings": True, "torch_dtype": "float32",
}  # fmt: skip
WEIGHTS = "model.safetensors"


def write_base(folder: Path, dtype: str = "float32", **changes) -> Path:
    """A random base; returns its directory."""
    source = folder.with_name(f"{folder.name}-config")
    source.mkdir(parents=True)
    (source / "config.json").write_text(json.dumps(CONFIG | changes))
    cfg, rng = read_config(source), np.random.default_rng(0)
    tensors = ((name, 0.5 * rng.standard_normal(shape, np.float32)) for name, shape in hf_shapes(cfg))
    write_model(folder, tensors, source=source, cfg=cfg, dtype=dtype)
    return folder


def write_tuned(folder: Path, base: Path, seed: int, size: float = 0.1) -> Path:
    """The base with a Gaussian task vector on every tensor."""
    cfg, rng = read_config(base), np.random.default_rng(seed)
    tensors = ((name, array.astype(np.float32) + size * rng.standard_normal(array.shape, np.float32))
               for name, array in tensors_of(base).items())
    write_model(folder, tensors, source=base, cfg=cfg, dtype=json.loads((base / "config.json").read_text())["torch_dtype"])
    return folder


def tensors_of(folder: Path) -> dict[str, np.ndarray]:
    """Name → array of a directory, in stored dtype (the safetensors library has none for bfloat16 in NumPy)."""
    checkpoint = open_checkpoint(folder)
    return {name: checkpoint.read(name) for name in checkpoint.tensors}


def rewrite(folder: Path, tensors: dict[str, np.ndarray]) -> None:
    """Put other tensors into a directory."""
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
