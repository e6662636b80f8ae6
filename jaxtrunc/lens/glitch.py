"""Tokens whose rows look never trained or out of the ordinary: candidates, not proof.

In small models whose never-trained tokens are known, these have long rows that lie along one shared direction: low spread and
near neighbours, which is what `glitch_score` ranks. A high WPS found none of them, so that both its tails are lists of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from jaxtrunc.core.chunks import CHUNK, Rows
from jaxtrunc.lens.audit import Audit, audit
from jaxtrunc.lens.examine import duplicate_groups, mean_row
from jaxtrunc.lens.neighbours import chosen_rows, nearest_cosine
from jaxtrunc.lens.robust import robust_z
from jaxtrunc.lens.rows import take
from jaxtrunc.lens.settings import LensSettings
from jaxtrunc.lens.vocabulary import Vocabulary, reference_ids
from jaxtrunc.lens.wps import Scores, wps

NEAR = 0.9
"""Mean cosine with the nearest neighbours from which rows count as collapsed on one direction."""


@dataclass(frozen=True)
class Glitches:
    """Of every token `(V,)`, NaN where not computed: glitch_score in [0, 1], nn5, robust z of norm, of WPS and of spread, ref_cos;
    and the groups of bit-identical rows."""

    score: np.ndarray
    nn5: np.ndarray
    norm_z: np.ndarray
    wps1_z: np.ndarray
    spread_z: np.ndarray
    ref_cos: np.ndarray
    duplicates: list[list[int]]


def glitch_report(matrix: Any, vocabulary: Vocabulary | None = None, settings: LensSettings | None = None,
                  reference: Sequence[int] = ()) -> dict[str, Any]:
    """The glitch lists of a head `(V, d)`, array or rows on disk; `glitch_lists` says what they are.

    Args:
      vocabulary: what the rows stand for. reference: ids known not to have been trained.

    Raises:
      InputError: as for `audit`.
    """
    settings = settings or LensSettings()
    found = audit(matrix, vocabulary, settings)
    scores = wps(found.rows, found.svd)
    _, ids = reference_ids(found.vocabulary, reference)
    return glitch_lists(find_glitches(found, scores, ids), scores, found.vocabulary, settings)


def find_glitches(of: Audit, scores: Scores, reference: np.ndarray) -> Glitches:
    """All scores of the glitch report; `reference`: ids of rows known to be untrained, which are left out of the ranking."""
    rows, examined, counted = of.rows, of.examined, of.eligible
    evaluated = counted.copy()
    evaluated[reference] = False
    ids = chosen_rows(scores.spread, evaluated)
    nn5 = np.full(len(counted), np.nan)
    nn5[ids] = nearest_cosine(rows, ids, mean_row(rows, examined, counted), examined.zero)
    score = np.full(len(counted), np.nan)
    near = np.where(np.isnan(nn5), -np.inf, nn5)[evaluated]
    score[evaluated] = (_rank(-scores.spread[evaluated]) + _rank(near)) / 2
    return Glitches(score, nn5, robust_z(scores.norm, counted), robust_z(scores.wps1_k, counted), robust_z(scores.spread, counted),
                    _reference_cosine(rows, evaluated, reference[~examined.zero[reference]], of.svd.v[:, 0]),
                    duplicate_groups(examined.digests, counted))


def glitch_lists(found: Glitches, scores: Scores, vocabulary: Vocabulary, settings: LensSettings) -> dict[str, Any]:
    """The lists of lens.json, at most `settings.listed` tokens each, and how many are flagged in all.

    never_trained: best glitch_score first; flagged where spread is an outlier below and nn5 above NEAR. The others: robust z of
    WPS beyond `flag_z`, above and below. Special, byte and unreachable tokens stand in none.
    """
    listed = vocabulary.ordinary()
    flat, z = np.where(listed, found.score, np.nan), np.where(listed, found.wps1_z, np.nan)
    flagged = listed & (found.spread_z < -settings.flag_z) & (found.nn5 > NEAR)
    sizes = {token: len(group) for group in found.duplicates for token in group}

    def entries(order: np.ndarray, values: np.ndarray) -> list[dict[str, Any]]:
        ids = order[~np.isnan(values[order])][: settings.listed].tolist()
        return [_entry(token, float(values[token]), found, scores, vocabulary, sizes.get(token, 1)) for token in ids]

    high, low = (np.where(sign * z > settings.flag_z, sign * z, np.nan) for sign in (1, -1))
    return {name: entries(np.argsort(-values, kind="stable"), values)
            for name, values in (("never_trained", flat), ("high_projection", high), ("low_projection", low))} | {
        "counts": {"eligible": int(np.sum(~np.isnan(flat))), "never_trained": int(flagged.sum()),
                   "high_projection": int(np.sum(~np.isnan(high))), "low_projection": int(np.sum(~np.isnan(low)))}}


def _entry(token: int, score: float, found: Glitches, scores: Scores, vocabulary: Vocabulary, duplicates: int) -> dict[str, Any]:
    return {"id": token, "token": vocabulary.texts[token], "score": score, "category": vocabulary.categories[token],
            "glitch_score": found.score[token], "spread": scores.spread[token], "nn5": found.nn5[token],
            "norm": scores.norm[token], "norm_z": found.norm_z[token], "wps1": scores.wps1_k[token],
            "wps1_z": found.wps1_z[token], "ref_cos": found.ref_cos[token], "duplicates": duplicates}


def _rank(values: np.ndarray) -> np.ndarray:
    """0 for the lowest, 1 for the highest; equal values share the mean of their ranks."""
    return (rankdata(values) - 1) / max(len(values) - 1, 1)


def _reference_cosine(rows: Rows, among: np.ndarray, reference: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Cosine of each row with the mean reference row, both without their part along v₁ (Land and Bartolo 2024)."""
    found = np.full(len(among), np.nan)
    if not len(reference):
        return found
    mean = take(rows, reference).mean(0)
    mean -= first * (first @ mean)
    for start in range(0, len(among), CHUNK):
        wide = np.asarray(rows[start : start + CHUNK]).astype(np.float64)
        wide -= np.outer(wide @ first, first)
        with np.errstate(invalid="ignore", divide="ignore"):
            found[start : start + CHUNK] = wide @ mean / (np.linalg.norm(wide, axis=1) * np.linalg.norm(mean))
    return np.where(among, found, np.nan)
