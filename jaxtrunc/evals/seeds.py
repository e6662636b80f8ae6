"""A number over training seeds: mean, range, and every value, since a handful of seeds says no more."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any


def over_seeds(values: Sequence[float | None]) -> dict[str, Any]:
    """`mean`, `range` and `values` of one quantity, one value a training seed.

    Mean and range are None where a value is None: a seed for which the quantity is undefined is an outcome, and the mean of
    the others would be that of a selection.
    """
    known = [value for value in values if value is not None]
    whole = bool(known) and len(known) == len(values)
    return {"mean": fmean(known) if whole else None, "range": [min(known), max(known)] if whole else None, "values": list(values)}
