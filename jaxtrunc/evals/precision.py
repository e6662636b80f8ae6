"""Rounded operands against float32: a verdict asks that both predict alike at the fine-tuned model and at k*."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxtrunc.evals.records import decode_predictions

EXACT = "float32"
NEEDED = 0.995
"""Share of equal predictions below which no verdict is given (method description, section 3)."""

Record = Mapping[str, Any]


def precision_evidence(records: Sequence[Record], dtype: str, levels: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The `precision` of a verdict: how far `dtype` and float32 agree, level by level and split by split.

    Args:
      records: of both dtypes.
      levels: name (FT, k*) → what a record of it has under the keys given.
    """
    agreement = {name: _by_split([record for record in records if record.items() >= level.items()], dtype)
                 for name, level in levels.items()}
    least, name, split = min((share, name, split) for name, found in agreement.items() for split, share in found.items())
    reason = (f"{dtype} operands and float32 predict alike in {100 * least:.2f} % of the {split} rows at {name}, and a verdict "
              f"asks for {100 * NEEDED:.1f} %")
    return {"dtype": dtype, "weights": "merged", "agreement": agreement, "least": least, "holds": least >= NEEDED,
            "reason": None if least >= NEEDED else reason}


def _by_split(records: Sequence[Record], dtype: str) -> dict[str, float]:
    """Split → share of rows with equal predictions, over the splits that both dtypes have."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for record in records:
        found.setdefault(record["split"], {})[record["dtype"]] = decode_predictions(record["predictions"])
    return {split: float(np.mean(known[dtype] == known[EXACT])) for split, known in found.items() if {dtype, EXACT} <= known.keys()}
