"""Unlearning on TOFU (Maini et al. 2024, arXiv 2401.06121): forget some made-up authors, keep the others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxtrunc.core.trees import Params
from jaxtrunc.recipes.steer.real.talk import Talk, column_rows, data_directory, enough, open_talk
from jaxtrunc.recipes.steer.task import Direction, Split, SteerTask, TaskSettings

ROWS = 200
HELD_OUT = 64  # retained pairs for each split
BETTER: Mapping[str, Direction] = {"forget_accuracy": "lower", "retain_accuracy": "higher", "forget_nll": "higher",
                                   "retain_nll": "lower"}


def tofu(settings: TaskSettings, here: Path, place: Path, mesh: Mesh | None) -> SteerTask:
    """Question and answer pairs from DATA/tofu, 200 on either side unless `rows` says otherwise.

    Accuracy is the share of answer tokens that are the most likely ones after the right answer so far. Forgetting is measured
    on the pairs that are trained on (every other one for each split), retaining on others.
    """
    del place
    folder, talk, rows = data_directory(settings, here) / "tofu", open_talk(settings, here, mesh), settings.rows or ROWS
    rng = np.random.default_rng(settings.seed)
    forget, retain = (_drawn(column_rows(folder / f"{name}.jsonl.gz", "question", "answer"), count, rng)
                      for name, count in (("forget", rows), ("retain", rows + 2 * HELD_OUT)))
    enough(forget, 1, "pairs, for every other one is measured in each split", folder / "forget.jsonl.gz")
    enough(retain, 2 * HELD_OUT, "pairs, for so many are held out", folder / "retain.jsonl.gz")
    rows = len(retain) - 2 * HELD_OUT  # fewer than were asked for where the file is short
    tables = {"forget": _table(talk, "forget", forget), "retain": _table(talk, "retain", retain[:rows])}
    asked = {"validation": (forget[::2], retain[rows:rows + HELD_OUT]), "test": (forget[1::2], retain[rows + HELD_OUT:])}
    measured = {split: [_table(talk, "asked", side) for side in sides] for split, sides in asked.items()}

    def metrics(params: Params, split: Split) -> dict[str, float]:
        gone, kept = (talk.said(params, table) for table in measured[split])
        sides = {"forget": gone, "retain": kept}
        return {f"{name}_accuracy": float(said.right.sum() / said.tokens.sum()) for name, said in sides.items()} | {
            f"{name}_nll": float(-said.log_prob.sum() / said.tokens.sum()) for name, said in sides.items()}

    return SteerTask("tofu", "unlearn", talk.cfg, talk.params, tables, metrics, BETTER, talk.side.source.directory,
                     facts={"base_model": settings.base_model, "seed": settings.seed})


def _drawn(rows: list[Mapping[str, Any]], count: int, rng: np.random.Generator) -> list[Mapping[str, Any]]:
    return [rows[index] for index in rng.permutation(len(rows))[:count]]


def _table(talk: Talk, name: str, rows: list[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    return talk.table(name, [row["question"] for row in rows], [row["answer"] for row in rows])
