"""One ΔW read from its two sources in a single pass, with what is recorded of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral.view import MatrixRef, content_hash, read_matrix, release

ZERO = 1e-8
"""A ΔW without a larger entry counts as zero."""

CHUNK = 1 << 18
"""Entries taken at a time, so that what is made of them stays in the cache."""


@dataclass(frozen=True, eq=False)
class Input:
    """One ΔW, read: float32 tall orientation `(long, r)`, and what is recorded of its two sources."""

    ref: MatrixRef
    tall: Float[np.ndarray, "long r"]
    facts: dict[str, Any]

    @property
    def is_zero(self) -> bool:
        """Whether this ΔW counts as zero and is skipped."""
        return self.facts["max_abs"] <= ZERO


def read_input(base: Mapping[str, Any], ft: Mapping[str, Any], ref: MatrixRef) -> Input:
    """ΔW of `ref`, after which lazy leaves let go of its pages; `InputError` if it is not finite."""
    before, after = read_matrix(base[ref.path], ref), read_matrix(ft[ref.path], ref)
    update = np.empty(after.shape, np.float32, order="F" if after.flags.f_contiguous else "C")
    facts = {"base_hash": content_hash(before), "ft_hash": content_hash(after)} | _subtract(before, after, update)
    if not np.isfinite(facts["max_abs"]):
        raise InputError(f"{ref.name}: the difference between fine-tuned and base holds NaN or Inf; mend the checkpoints")
    release(base[ref.path], ref)
    release(ft[ref.path], ref)
    return Input(ref, update if ref.shape[1] <= ref.shape[0] else update.T, facts)


def _subtract(before: np.ndarray, after: np.ndarray, update: np.ndarray) -> dict[str, Any]:
    """Fill `update` = f32(after) − f32(before), and say what stands in it; squares are summed in float64."""
    if not update.flags.c_contiguous:
        before, after, update = before.T, after.T, update.T
    step, zeros, largest, tuned, changed = max(CHUNK // update.shape[1], 1), 0, np.float32(0), 0.0, 0.0
    for start in range(0, len(update), step):
        rows, part = after[start:start + step].astype(np.float32, copy=False), update[start:start + step]
        np.subtract(rows, before[start:start + step].astype(np.float32, copy=False), out=part)
        zeros += part.size - int(np.count_nonzero(part))
        largest = np.maximum(largest, np.maximum(part.max(), -part.min()))  # NaN stays NaN
        tuned, changed = tuned + _square_sum(rows), changed + _square_sum(part)
    return {"zero_share": zeros / update.size, "max_abs": float(largest), "rms_w": (tuned / update.size) ** 0.5,
            "frobenius": changed**0.5}


def _square_sum(part: Float[np.ndarray, "rows columns"]) -> float:
    wide = part.ravel().astype(np.float64)
    return float(wide @ wide)
