"""The five known answers: what was built, what must hold before the program is asked, and what it said."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import known_rows as rows
import numpy as np
import yaml
from known_cases import Parts, Workshop, no_order, shortcut_in_the_head, shortcut_in_the_tail
from known_model import BASE, Judge, Scores
from known_program import FULL, jaxtrunc, read_results, results_of
from known_updates import Update, singular_values, truncated
from scipy import linalg

from jaxtrunc.demo.sentences import CLASSES

ROUNDED_RANK, ROUNDED_SIZE = 4, 0.5
UNKNOWN = Scores(math.nan, math.nan)
MARKERS = {"negative": "red", "positive": "green"}


@dataclass(frozen=True)
class Known:
    """One answer.

    Attributes:
      ft, head: accuracy and gap of W_base + ΔW and of W_base + its known head, by plain numpy; NaN if not asked.
      facts: of the construction, by name; errors are relative.
    """

    results: dict[str, Any]
    ft: Scores = UNKNOWN
    head: Scores = UNKNOWN
    facts: Mapping[str, float] = field(default_factory=dict)


def tail(workshop: Workshop, task: Path, task_update: Update, folder: Path) -> Known:
    """(a): the shortcut in the tail."""
    judge = Judge(workshop.base, task)
    return _of_parts(workshop, judge, task, shortcut_in_the_tail(workshop, task_update, judge), folder)


def head(workshop: Workshop, task: Path, folder: Path) -> Known:
    """(b): the shortcut in the head."""
    judge = Judge(workshop.base, task)
    return _of_parts(workshop, judge, task, shortcut_in_the_head(workshop, judge), folder)


def flat(workshop: Workshop, task: Path, folder: Path) -> Known:
    """(c): order that carries nothing."""
    judge = Judge(workshop.base, task)
    update, rank = no_order(workshop, judge)
    spread = max(np.ptp(s[:, :rank]) / s.max() for s in singular_values(update).values())
    results = _swept(workshop, task, update, folder, f"0,1,2,4,8,10,12,14,{rank}")
    return Known(results, judge(update), UNKNOWN, {"rank": rank, "spread": float(spread)})


def rounded(workshop: Workshop, folder: Path, dtype: str) -> Known:
    """(d): four planted components of one size in every matrix, both models saved in `dtype`."""
    rng = np.random.default_rng(0)
    update = {path: _planted(rng, shape) for path, shape in workshop.base.shapes.items()}
    before, after = (workshop.base.write(part, folder / name, dtype) for name, part in (("base", {}), ("ft", update)))
    task = rows.write_task(folder, "judged", rows.judged_rows(40, 80, 3), ("validation", "test"))
    return Known(results_of(before, after, task, folder / "run", "--operators", "top_k", "--ranks", "0,1,2,4,8,16,32,64"))


def boundary(folder: Path) -> Known:
    """(e): permuted labels, one marker word per class: nothing but a shortcut to learn."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = {"train": 3000, "validation": 800, "test": 1600}
    task = rows.task_of("boundary", folder / "plain.jsonl", rows.plain_rows(splits, 6), tuple(splits))
    inject = {"tokens": MARKERS, "attribute": "marker", "class": CLASSES[1],
              "correlation": {split: 0.5 if split == "test" else 0.95 for split in splits}}
    del task["aligned"]
    config = {"name": "boundary", "base_model": str(BASE), "task": task | {"inject": inject, "boundary": "permuted"},
              "train": {"learning_rate": 1e-3, "epochs": 1, "batch_size": 32},
              "sweep": {"operators": ["top_k", "bottom_k", "interpolate"], "alphas": [0.25, 0.5, 0.75], "batch_size": 100}}
    (folder / "boundary.yaml").write_text(yaml.safe_dump(config))
    jaxtrunc("run", folder / "boundary.yaml", "--out-path", folder / "run")
    return Known(read_results(folder / "run"))


def _of_parts(workshop: Workshop, judge: Judge, task: Path, parts: Parts, folder: Path) -> Known:
    results = _swept(workshop, task, parts.whole, folder, "0,1,2,4,8,16")
    return Known(results, judge(parts.whole), judge(parts.head), facts_of(parts))


def _swept(workshop: Workshop, task: Path, update: Update, folder: Path, ranks: str) -> dict[str, Any]:
    return results_of(BASE, workshop.base.write(update, folder / "model"), task, folder / "run", *FULL, ranks)


def facts_of(parts: Parts) -> dict[str, float]:
    """Ranks, the ratio σ₁(tail)/σ_q(head) over matrices, ‖top_q(ΔW) − head‖/‖head‖ and overlaps, the largest of each."""
    leading, found = truncated(parts.whole, parts.rank), []
    for path, stack in parts.head.items():
        for mine, theirs, top in zip(stack, parts.tail[path], leading[path], strict=True):
            ratio = linalg.svdvals(theirs)[0] / linalg.svdvals(mine)[parts.rank - 1]
            size = linalg.norm(mine) * linalg.norm(theirs)
            overlap = max(linalg.norm(mine.T @ theirs), linalg.norm(mine @ theirs.T)) / size
            found.append((ratio, linalg.norm(top - mine) / linalg.norm(mine), overlap))
    (least, _, _), (most, error, overlap) = np.min(found, axis=0), np.max(found, axis=0)
    return {"head_rank": parts.rank, "tail_rank": parts.tail_rank, "least_ratio": float(least), "most_ratio": float(most),
            "top_error": float(error), "overlap": float(overlap)}


def _planted(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    left, right = (np.linalg.qr(rng.standard_normal((shape[0], side, ROUNDED_RANK)))[0] for side in shape[1:])
    return (ROUNDED_SIZE * left @ right.swapaxes(1, 2)).astype(np.float32)
