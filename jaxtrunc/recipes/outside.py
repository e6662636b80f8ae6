"""What fine-tuning changed besides the matrices that are cut: then k = 0 is not the base model, and no adapter holds it all."""

import re
from collections import defaultdict
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


def in_words(changes: dict[str, float]) -> str:
    """`model.layers.*.input_layernorm.weight (3, up to 1.2e-02), …`: layers together, the largest change first."""
    kinds: dict[str, list[float]] = defaultdict(list)
    for name, change in changes.items():
        kinds[re.sub(r"\.\d+\.", ".*.", name)].append(change)
    ordered = sorted(kinds.items(), key=lambda item: -max(item[1]))
    return ", ".join(f"{kind} ({len(found)}, up to {max(found):.1e})" for kind, found in ordered)


def _relative_change(pair: Pair, path: str, index: int) -> float:
    base = np.asarray(pair.base.leaves[path][index], np.float32)
    change = np.linalg.norm(np.asarray(pair.ft.leaves[path][index], np.float32) - base)
    return float(change / max(np.linalg.norm(base), np.finfo(np.float32).tiny)) if change else 0.0
