"""What fine-tuning changed besides the matrices that are cut: then k = 0 is not the base model, and no adapter holds it all."""

from collections.abc import Collection

import numpy as np

from jaxtrunc.recipes.pair import Pair


def changed_outside(pair: Pair, cut: Collection[str]) -> dict[str, float]:
    """Hugging Face name → ‖W_ft − W_base‖/‖W_base‖ of every tensor that differs and is not among `cut`."""
    changes = {}
    for path, names in pair.names.items():
        for index, name in enumerate(names):
            if name not in cut and (change := _relative_change(pair, path, index)) > 0:
                changes[name] = change
    return changes


def in_words(changes: dict[str, float], most: int = 3) -> str:
    """`model.norm.weight (1.2e-02), …` for a message, the largest change first."""
    ordered = sorted(changes.items(), key=lambda item: -item[1])
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(f"{name} ({change:.1e})" for name, change in ordered[:most]) + more


def _relative_change(pair: Pair, path: str, index: int) -> float:
    base = np.asarray(pair.base.leaves[path][index], np.float32)
    change = np.linalg.norm(np.asarray(pair.ft.leaves[path][index], np.float32) - base)
    return float(change / max(np.linalg.norm(base), np.finfo(np.float32).tiny)) if change else 0.0
