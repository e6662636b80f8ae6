"""What fine-tuning did to a head: how far it moved, which directions it kept, which groups of tokens are still groups."""

from dataclasses import replace
from typing import Any

import numpy as np

from jaxtrunc.lens.align import Alignment, align
from jaxtrunc.lens.angles import angle_table
from jaxtrunc.lens.audit import Audit, audit
from jaxtrunc.lens.matching import match_directions
from jaxtrunc.lens.movers import Moves, moves
from jaxtrunc.lens.persistence import new_poles, persistence
from jaxtrunc.lens.rows import Difference
from jaxtrunc.lens.settings import LensSettings
from jaxtrunc.lens.vocabulary import Vocabulary

DELTA_DIRECTIONS = 10


def compare_heads(base: Any, tuned: Any, base_vocabulary: Vocabulary | None = None, tuned_vocabulary: Vocabulary | None = None,
                  settings: LensSettings | None = None) -> dict[str, Any]:
    """The comparison of two heads `(V, d)`, arrays or rows on disk; `compare_audits` says what it holds.

    Rows are aligned by token if both vocabularies are given, else by id.

    Raises:
      InputError: as for `audit`, and where the widths differ or rows cannot be aligned.
    """
    settings = settings or LensSettings()
    return compare_audits(audit(base, base_vocabulary, settings, name="base"),
                          audit(tuned, tuned_vocabulary, settings, name="tuned"), settings)


def compare_audits(base: Audit, tuned: Audit, settings: LensSettings) -> dict[str, Any]:
    """Alignment, movers, principal angles, matched directions, and per group of the base what has become of it.

    Raises:
      InputError: widths differ, or rows cannot be aligned.
    """
    rows = align(base, tuned)
    moved = moves(base.rows, tuned.rows, rows)
    matching, cosines = match_directions(base, tuned, rows)
    kept = persistence(base, tuned, rows, matching, settings)
    new = new_poles(base, tuned, rows, settings)
    labels = [entry["label"] for entry in kept]
    return {
        "alignment": rows.facts(base, tuned), "unchanged": _unchanged(base, tuned, rows),
        "relative_change": moved.relative, "movers": _movers(moved, base, rows, settings.listed),
        "angles": angle_table(base.svd, tuned.svd, rows), "cosines": cosines, "matching": matching,
        "persistence": kept, "new": new,
        "counts": {label: labels.count(label) for label in ("retained", "drifted", "dissolved")} | {"new": len(new)},
        "spectrum": tuned.spectrum,
        "vcs": [{"index": i} | {pole: facts["vcs"] for pole, facts in entry["poles"].items()}
                for i, entry in enumerate(tuned.directions)],
        "delta": _delta(base, tuned, rows, moved, settings),
    }  # fmt: skip


def _unchanged(base: Audit, tuned: Audit, rows: Alignment) -> bool:
    """Whether both files hold the same bits, row for row."""
    return rows.same_ids and base.examined.sha256 == tuned.examined.sha256 and base.rows.dtype == tuned.rows.dtype


def _movers(moved: Moves, base: Audit, rows: Alignment, listed: int) -> list[dict[str, Any]]:
    order = np.argsort(-moved.change, kind="stable")[:listed]
    return [{"id": int(rows.ours[at]), "token": base.vocabulary.texts[int(rows.ours[at])], "change": moved.change[at],
             "cos": moved.cosine[at]} for at in order if moved.change[at] > 0]


def _delta(base: Audit, tuned: Audit, rows: Alignment, moved: Moves, settings: LensSettings) -> dict[str, Any] | None:
    """The same lens on the difference; None where too few rows moved for one."""
    count = int(np.sum((moved.change > 0) & base.eligible[rows.ours]))
    if count < 2 or len(rows.ours) < base.rows.shape[1]:
        return None
    vocabulary = base.vocabulary.rows(rows.ours)
    found = audit(Difference(base.rows, tuned.rows, rows.ours, rows.theirs), vocabulary,
                  replace(settings, k=min(settings.k, DELTA_DIRECTIONS), m=min(settings.m, count)), name="difference of the heads")
    return {"spectrum": {key: value for key, value in found.spectrum.items() if key != "centred"},
            "directions": [_with_ids(entry, rows.ours) for entry in found.directions]}


def _with_ids(direction: dict[str, Any], ids: np.ndarray) -> dict[str, Any]:
    """A direction of the difference, whose rows are numbered anew, with the base's token ids."""
    return direction | {"poles": {name: pole | {"ids": ids[pole["ids"]]} for name, pole in direction["poles"].items()}}
