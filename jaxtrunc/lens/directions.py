"""Each leading direction with the tokens at its two poles, and how much of a group they are."""

from typing import Any

import numpy as np

from jaxtrunc.core.chunks import Rows
from jaxtrunc.lens.examine import Examined, mean_row
from jaxtrunc.lens.rows import take
from jaxtrunc.lens.scripts import script_mix
from jaxtrunc.lens.settings import LensSettings
from jaxtrunc.lens.svd import VocabSVD
from jaxtrunc.lens.vcs import POOL, null_vcs, vcs
from jaxtrunc.lens.vocabulary import Vocabulary

POLES = {"+": 1.0, "-": -1.0}


def pole_ids(u: np.ndarray, eligible: np.ndarray, m: int) -> np.ndarray:
    """Ids `(K, 2, m)` of the eligible tokens with the largest and with the smallest entries of each column, ties by lower id."""
    ids = np.flatnonzero(eligible)
    return np.array([[ids[np.argsort(-sign * column[ids], kind="stable")[:m]] for sign in POLES.values()] for column in u.T])


def directions(rows: Rows, svd: VocabSVD, vocabulary: Vocabulary, eligible: np.ndarray, examined: Examined,
               settings: LensSettings) -> list[dict[str, Any]]:
    """One entry per column of U, both poles with tokens, logits σ_i·u_ti, VCS and its null.

    Args:
      eligible: `(V,)` rows that count.
    """
    ids = pole_ids(svd.u, eligible, settings.m)
    unique, where = np.unique(ids, return_inverse=True)
    taken, where = take(rows, unique), where.reshape(ids.shape)
    mean, pool = mean_row(rows, examined, eligible), _pool(rows, svd, eligible, settings.seed)
    index = np.repeat(np.arange(svd.k), 2)
    own = np.take_along_axis((taken @ svd.v[:, : svd.k]).T, where.reshape(svd.k, -1), axis=1).reshape(2 * svd.k, -1)
    null = np.stack(null_vcs(pool, own, index, settings.draws, settings.seed), axis=1).reshape(svd.k, 2, 2)
    return [{"index": i, "sigma": svd.sigma[i], "skewness": svd.skewness[i], "flags": _flags(svd, i),
             "block": int(svd.blocks[i]) if svd.blocks[i] >= 0 else None,
             "poles": {name: _pole(ids[i, at], svd.sigma[i] * svd.u[ids[i, at], i], taken[where[i, at]], mean, null[i, at],
                                   vocabulary, examined.digests)
                       for at, name in enumerate(POLES)}}
            for i in range(svd.k)]


def _pool(rows: Rows, svd: VocabSVD, eligible: np.ndarray, seed: int) -> np.ndarray:
    """The coordinates W·V of eligible rows, of a sample where they are many."""
    ids = np.flatnonzero(eligible)
    if len(ids) > POOL:
        ids = np.sort(np.random.default_rng(seed).choice(ids, POOL, replace=False))
    return take(rows, ids) @ svd.v


def _pole(ids: np.ndarray, projections: np.ndarray, rows: np.ndarray, mean: np.ndarray, null: np.ndarray, vocabulary: Vocabulary,
          digests: np.ndarray) -> dict[str, Any]:
    tokens, cohesion = vocabulary.show(ids.tolist()), vcs(rows)
    scripts, entropy = script_mix(tokens)
    return {"ids": ids, "tokens": tokens, "projections": projections, "categories": vocabulary.categories[ids],
            "vcs": cohesion, "vcs_centred": vcs(rows - mean), "vcs_null_mean": null[0], "vcs_null_sd": null[1],
            "vcs_z": (cohesion - null[0]) / null[1] if null[1] > 0 else None,
            "n_duplicates": len(ids) - len(np.unique(digests[ids])), "scripts": scripts, "script_entropy": entropy}


def _flags(svd: VocabSVD, i: int) -> list[str]:
    named = {"sign_undetermined": svd.undetermined[i], "degenerate": svd.blocks[i] >= 0}
    return [name for name, holds in named.items() if holds]
