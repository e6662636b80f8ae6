"""Heads whose content is planted: groups along orthogonal directions, and model directories that hold a head."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

SIZES = (3.0, 2.6, 2.2, 1.9, 1.6)
V, D, EACH = 600, 64, 120


def planted_clusters(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Five groups of 120 rows, each its centre times 1 ± 10 % plus 10 % isotropic noise; float64 head and group of each row."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(D, len(SIZES))))[0].T
    group = np.repeat(np.arange(len(SIZES)), EACH)
    size = np.array(SIZES)[group][:, None]
    head = axes[group] * size * rng.uniform(0.9, 1.1, (V, 1)) + rng.normal(size=(V, D)) * 0.1 * size / D**0.5
    return head, group


def of_condition(condition: float, rows: int = 4099, width: int = 64, seed: int = 1) -> np.ndarray:
    """float32 `(rows, width)` with log-spaced singular values from 1 to 1/condition."""
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.normal(size=(size, width)))[0] for size in (rows, width))
    return ((left * np.geomspace(1, 1 / condition, width)) @ right.T).astype(np.float32)


def write_model(folder: Path, tensors: dict[str, np.ndarray], shards: int = 1, **config: object) -> Path:
    """A model directory with these tensors, one file or one tensor per shard."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"} | config))
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return folder
    names = {}
    for number, (name, tensor) in enumerate(tensors.items(), 1):
        names[name] = f"model-{number:05d}-of-{len(tensors):05d}.safetensors"
        save_file({name: np.ascontiguousarray(tensor)}, folder / names[name])
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return folder
