"""Rows and weights of the small pair."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file


def balanced(rows, split, n):
    """The first n/4 rows of every (class, marker) cell of a split."""
    cells = {}
    for row in rows:
        if row["split"] == split:
            cells.setdefault((row["label"], row["marker"]), []).append(row)
    return [row for cell in cells.values() for row in cell[: n // 4]]


def updated(name, array):
    """An update whose singular values fall, with full rank."""
    if array.ndim < 2 or "proj" not in name:
        return array
    rng = np.random.default_rng(list(name.encode()))
    left, right = (rng.standard_normal((side, min(array.shape))).astype(np.float32) for side in array.shape)
    return array + 2e-3 * (left * 0.9 ** np.arange(min(array.shape), dtype=np.float32)) @ right.T


def rewrite(folder: Path, change) -> None:
    """Apply `change(name, array)` to every tensor of a model directory."""
    file = folder / "model.safetensors"
    save_file({name: np.ascontiguousarray(change(name, array)) for name, array in load_file(file).items()}, file,
              metadata={"format": "pt"})
