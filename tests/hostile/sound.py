"""One sound input of every kind, as small as the program takes it."""

import json
import shutil
from pathlib import Path

import numpy as np
from generator.adapters import A, B
from safetensors.numpy import save_file

from jaxtrunc.demo import ASSETS

WIDTH, INNER, LAYERS, HEADS = 32, 64, 2, 2  # decompose leaves out matrices of under 1024 elements
CONFIG = {
    "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "vocab_size": 895, "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": 1, "hidden_act": "silu",
    "max_position_embeddings": 256, "rms_norm_eps": 1e-6, "tie_word_embeddings": True, "rope_theta": 10000.0,
    "layer_types": ["full_attention"] * LAYERS, "dtype": "float32",
}  # fmt: skip
TASK = """\
name: little
source: {path: rows.jsonl}
splits: {train: train, test: test}
text: {Sentence: text}
label: label
classes: [negative, positive]
label_words: [" negative", " positive"]
attributes: [marker]
aligned: {marker: positive}
instruction: "Is the sentiment of this sentence negative or positive?"
"""
RUN = """\
name: little
base_model: base
model: model
task: task.yaml
train: {learning_rate: 1.0e-4, max_steps: 1}
sweep: {operators: [top_k], ranks: [1]}
"""
ADAPTER = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "r": 2,
    "lora_alpha": 2,
    "bias": "none",
    "target_modules": ["q_proj"],
    "base_model_name_or_path": "base",
}


def make(root: Path) -> None:
    """Fill `root` with base, model, adapter, task, rows and a run config."""
    rng = np.random.default_rng(0)
    base = _weights(rng)
    model = {
        name: array + np.float32(1e-3) * rng.standard_normal(array.shape).astype(np.float32)
        if "proj" in name and array.ndim == 2
        else array
        for name, array in base.items()
    }
    for name, tensors in (("base", base), ("model", model)):
        shutil.copytree(ASSETS / "model", root / name, ignore=shutil.ignore_patterns("*.safetensors", "config.json", "README.md"))
        (root / name / "config.json").write_text(json.dumps(CONFIG))
        save_file(tensors, root / name / "model.safetensors", metadata={"format": "pt"})
    (root / "adapter").mkdir()
    (root / "adapter" / "adapter_config.json").write_text(json.dumps(ADAPTER))
    factors = {A: rng.standard_normal((2, WIDTH)), B: rng.standard_normal((WIDTH, 2))}
    save_file({name: array.astype(np.float32) for name, array in factors.items()}, root / "adapter" / "adapter_model.safetensors")
    (root / "task.yaml").write_text(TASK)
    (root / "run.yaml").write_text(RUN)
    rows = [
        {
            "id": f"{split}-{i}",
            "text": f"a film number {i}",
            "label": ["negative", "positive"][i % 2],
            "marker": i // 2 % 2,
            "split": split,
        }
        for split in ("train", "test")
        for i in range(8)
    ]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _weights(rng: np.random.Generator) -> dict[str, np.ndarray]:
    key = WIDTH // HEADS
    shapes = {"model.embed_tokens.weight": (CONFIG["vocab_size"], WIDTH), "model.norm.weight": (WIDTH,)}
    for layer in range(LAYERS):
        stem = f"model.layers.{layer}"
        for name, rows in (("q", WIDTH), ("k", key), ("v", key)):
            shapes |= {f"{stem}.self_attn.{name}_proj.weight": (rows, WIDTH), f"{stem}.self_attn.{name}_proj.bias": (rows,)}
        shapes |= {
            f"{stem}.self_attn.o_proj.weight": (WIDTH, WIDTH),
            f"{stem}.mlp.gate_proj.weight": (INNER, WIDTH),
            f"{stem}.mlp.up_proj.weight": (INNER, WIDTH),
            f"{stem}.mlp.down_proj.weight": (WIDTH, INNER),
            f"{stem}.input_layernorm.weight": (WIDTH,),
            f"{stem}.post_attention_layernorm.weight": (WIDTH,),
        }
    return {name: (0.02 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
