"""The audit of one head as lens.json tells it, and as lens.npz keeps it."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from jaxtrunc.lens.audit import Audit
from jaxtrunc.lens.categories import BYTE, PADDING, SPECIAL, UNDECODABLE, UNREACHABLE, UNUSED
from jaxtrunc.lens.glitch import Glitches, glitch_lists
from jaxtrunc.lens.robust import histogram
from jaxtrunc.lens.settings import LensSettings
from jaxtrunc.lens.vocabulary import UNKNOWN, Vocabulary
from jaxtrunc.lens.wps import Scores

SAMPLE, TEXTS = 3000, 200
OWN_LISTS = (PADDING, SPECIAL, BYTE, UNUSED, UNDECODABLE, UNREACHABLE)
CAVEATS = (
    "A triage signal read off the output weights alone: it proves nothing about training data, intent or harm. Every token listed "
    "is a candidate, not verified on the model's behaviour.",
    "VCS and WPS are named in Miyashita (2026, arXiv 2605.22005), whose exact formulae were not available; what is computed here "
    "is our reading, and its ranks need not be the paper's.",
    "VCS cannot tell a shared meaning from a shared script or function, and the sign of a direction is a convention: look at "
    "both poles.",
)  # fmt: skip


def lens_facts(found: Audit, scores: Scores, glitches: Glitches, settings: LensSettings) -> dict[str, Any]:
    """Everything of lens.json that comes from one head."""
    vocabulary = found.vocabulary
    lists = glitch_lists(glitches, scores, vocabulary, settings)
    own = {category: vocabulary.ids(category) for category in OWN_LISTS}
    shown = [token for group in glitches.duplicates for token in group][:TEXTS]
    shown += [token for category, ids in own.items() if category != PADDING for token in ids[:TEXTS].tolist()]
    return {
        "numerical_rank": found.svd.rank, "spectrum": found.spectrum, "directions": found.directions,
        "wps": {"K": found.svd.k, "threshold": settings.flag_z} | {
            name: histogram(values[found.eligible], settings.flag_z)
            for name, values in (("wps1_K", scores.wps1_k), ("wps1_d", scores.wps1_d), ("norm", scores.norm),
                                 ("spread", scores.spread))},
        "scatter": _scatter(found, scores, lists, settings.seed),
        "glitch": lists, "duplicates": glitches.duplicates, **own, "zero_rows": np.flatnonzero(found.examined.zero),
        "categories": _counts(vocabulary), "texts": _texts(vocabulary, shown),
        "caveats": list(CAVEATS), "warnings": list(found.warnings),
    }  # fmt: skip


def lens_arrays(found: Audit, scores: Scores, glitches: Glitches) -> dict[str, np.ndarray]:
    """The arrays of lens.npz, float32; NaN: not computed."""
    arrays = {
        "sigma": found.svd.sigma, "V": found.svd.v[:, : found.svd.k], "U": found.svd.u, "wps1_K": scores.wps1_k,
        "wps1_d": scores.wps1_d, "wps2_K": scores.wps2_k, "norm": scores.norm, "spread": scores.spread, "nn5": glitches.nn5,
        "glitch_score": glitches.score,
    }  # fmt: skip
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def _scatter(found: Audit, scores: Scores, lists: dict[str, Any], seed: int) -> dict[str, Any]:
    """A sample of the eligible rows and every listed one, as columns."""
    listed = {entry["id"] for entries in lists.values() if isinstance(entries, list) for entry in entries}
    ids = np.flatnonzero(found.eligible)
    if len(ids) > SAMPLE:
        ids = np.random.default_rng(seed).choice(ids, SAMPLE, replace=False)
    ids = np.union1d(ids, np.array(sorted(listed), int))
    return {"ids": ids, "norm": scores.norm[ids], "spread": scores.spread[ids], "category": found.vocabulary.categories[ids],
            "listed": np.isin(ids, list(listed)), "token": found.vocabulary.show(ids.tolist())}


def _counts(vocabulary: Vocabulary) -> dict[str, int]:
    names, counts = np.unique(vocabulary.categories, return_counts=True)
    return {name: count for name, count in zip(names.tolist(), counts.tolist(), strict=True) if name != UNKNOWN}


def _texts(vocabulary: Vocabulary, ids: Iterable[int]) -> dict[str, str]:
    return {str(token): text for token in sorted(set(ids)) if (text := vocabulary.texts[token]) is not None}
