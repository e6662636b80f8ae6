"""Heads of the size of real ones, made up: directions of falling strength, token norms that differ, a mean, and rounding.

    python -m suite.heads ROWS WIDTH DIRECTORY          a model directory that holds such a head in bfloat16
"""

import json
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

CHUNK = 8192


def random_head(rows: int, width: int) -> np.ndarray:
    """bfloat16 `(rows, width)`: κ of some hundreds, as the heads of language models have."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((width, width)))[0] * np.maximum(np.arange(1.0, width + 1) ** -0.6, 5e-3)
    mean = 0.3 * basis[:, 0] @ np.linalg.qr(rng.standard_normal((width, width)))[0]
    head = np.empty((rows, width), ml_dtypes.bfloat16)
    for start in range(0, rows, CHUNK):
        part = head[start : start + CHUNK]
        noise = rng.standard_normal((len(part), width), np.float32) * rng.uniform(0.5, 1.5, (len(part), 1)).astype(np.float32)
        part[:] = noise @ basis.T.astype(np.float32) + mean.astype(np.float32)
    return head


def write_head(directory: Path, rows: int, width: int) -> Path:
    """A model directory that holds nothing else."""
    directory.mkdir(parents=True)
    save_file({"lm_head.weight": random_head(rows, width)}, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps({"model_type": "llama", "tie_word_embeddings": False}))
    return directory


if __name__ == "__main__":
    write_head(Path(sys.argv[3]), int(sys.argv[1]), int(sys.argv[2]))
