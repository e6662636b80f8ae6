"""Several runs over the same prompts: the difference of two groups of runs, prompt by prompt and seed by seed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxtrunc.evals.intervals import TWO_SIDED

Outcomes = Sequence[Sequence[str]]


def seed_summary(values: Mapping[int, float | None]) -> dict[str, Any]:
    """Mean, smallest and largest over seeds; null where a seed has no value."""
    known = [value for value in values.values() if value is not None]
    if not known or len(known) < len(values):
        return {"mean": None, "low": None, "high": None, "by_seed": dict(values)}
    return {"mean": float(np.mean(known)), "low": min(known), "high": max(known), "by_seed": dict(values)}


def paired_difference(first: Mapping[int, Sequence[bool]], second: Mapping[int, Sequence[bool]]) -> dict[str, Any] | None:
    """Share of `first` minus share of `second` over the seeds that both have; None if they share none, or there are no prompts.

    `interval`: 95% over prompts, each prompt's difference being the mean over seeds, so that prompts and not answers are the units.

    Args:
      first: seed → whether it holds for each prompt; `second` of the same prompts.
    """
    seeds = sorted(first.keys() & second.keys())
    if not seeds or not len(first[seeds[0]]):
        return None
    each = np.array([np.asarray(first[seed], float) - np.asarray(second[seed], float) for seed in seeds])
    by_prompt = each.mean(axis=0)
    half = TWO_SIDED * float(by_prompt.std(ddof=1)) / len(by_prompt) ** 0.5 if len(by_prompt) > 1 else None
    value = float(by_prompt.mean())
    return {"value": value, "interval": None if half is None else (value - half, value + half), "seeds": len(seeds),
            "by_seed": dict(zip(seeds, each.mean(axis=1).tolist(), strict=True))}
