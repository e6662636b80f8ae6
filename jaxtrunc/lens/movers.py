"""How far each token's row moved."""

from dataclasses import dataclass

import numpy as np

from jaxtrunc.core.chunks import CHUNK, Rows
from jaxtrunc.lens.align import Alignment
from jaxtrunc.lens.rows import take


@dataclass(frozen=True)
class Moves:
    """Of every aligned row ‖Δw‖ and cos(w_b, w_f) (NaN where one is zero); relative: ‖ΔW‖_F/‖W_b‖_F over them."""

    change: np.ndarray
    cosine: np.ndarray
    relative: float


def moves(base: Rows, tuned: Rows, rows: Alignment) -> Moves:
    """Read both heads once."""
    parts = [_part(base, tuned, rows.ours[at : at + CHUNK], rows.theirs[at : at + CHUNK])
             for at in range(0, len(rows.ours), CHUNK)]
    change, product, norm, other = np.concatenate(parts, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.clip(product / (norm * other), -1, 1)
    return Moves(change, cosine, float(np.linalg.norm(change) / np.linalg.norm(norm)))


def _part(base: Rows, tuned: Rows, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    before, after = take(base, ours), take(tuned, theirs)
    return np.stack([np.linalg.norm(after - before, axis=1), np.einsum("td,td->t", before, after),
                     np.linalg.norm(before, axis=1), np.linalg.norm(after, axis=1)])
