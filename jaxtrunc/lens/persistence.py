"""What became of each group of tokens: still a group and found again, still a group elsewhere, or none any more."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxtrunc.lens.align import Alignment
from jaxtrunc.lens.audit import Audit
from jaxtrunc.lens.directions import POLES
from jaxtrunc.lens.rows import take
from jaxtrunc.lens.settings import LensSettings
from jaxtrunc.lens.vcs import vcs


def persistence(base: Audit, tuned: Audit, rows: Alignment, matching: Sequence[dict[str, Any]],
                settings: LensSettings) -> list[dict[str, Any]]:
    """Every base pole: cohesion (VCS) of its tokens then and now, their median rank (from 1) in the matched direction, recovery
    (the share that stands in one tuned pole, the best), and the label."""
    theirs = _poles(tuned)
    return [_one(base, tuned, rows, pair, pole, theirs, settings) for pair in matching for pole in POLES]


def new_poles(base: Audit, tuned: Audit, rows: Alignment, settings: LensSettings) -> list[dict[str, Any]]:
    """Tuned poles with a high vcs_z in which no base pole comes back."""
    ours = [rows.to_tuned(ids, base.rows.shape[0]) for ids in _poles(base)]
    return [{"direction": entry["index"], "pole": name, "vcs_z": pole["vcs_z"], "ids": pole["ids"], "tokens": pole["tokens"]}
            for entry in tuned.directions for name, pole in entry["poles"].items()
            if (pole["vcs_z"] or 0) > settings.new_z and _best(pole["ids"], ours) < settings.recovery]


def _one(base: Audit, tuned: Audit, rows: Alignment, pair: dict[str, Any], name: str, theirs: list[np.ndarray],
         settings: LensSettings) -> dict[str, Any]:
    pole = base.directions[pair["base"]]["poles"][name]
    there = rows.to_tuned(pole["ids"], base.rows.shape[0])
    there = there[there >= 0]
    cohesion = vcs(take(tuned.rows, there)) if len(there) > 1 else None
    recovery = _best(there, theirs) * len(there) / len(pole["ids"])
    sign = POLES[name] * (-1 if pair["flipped"] else 1)
    return {"direction": pair["base"], "pole": name, "label": _label(recovery, cohesion, pole["vcs"], settings),
            "recovery": recovery, "cohesion_base": pole["vcs"], "cohesion_tuned": cohesion,
            "median_rank": _median_rank(sign * tuned.svd.u[:, pair["tuned"]], there), "ids": pole["ids"], "tokens": pole["tokens"]}


def _label(recovery: float, cohesion: float | None, before: float, settings: LensSettings) -> str:
    if cohesion is None or cohesion < before - (1 - settings.cohesion) * abs(before):
        return "dissolved"
    return "retained" if recovery >= settings.recovery else "drifted"


def _median_rank(u: np.ndarray, ids: np.ndarray) -> float | None:
    """Of those ids among all rows, the largest entry having rank 1; ties count as better."""
    ordered = np.sort(-u)
    return float(np.median(np.searchsorted(ordered, -u[ids]) + 1)) if len(ids) else None


def _poles(found: Audit) -> list[np.ndarray]:
    return [pole["ids"] for entry in found.directions for pole in entry["poles"].values()]


def _best(ids: np.ndarray, poles: Sequence[np.ndarray]) -> float:
    """The largest share of `ids` that stands in one of the poles."""
    return max((len(np.intersect1d(ids, pole)) for pole in poles), default=0) / max(len(ids), 1)
