"""steer.json and conflicts.npz, put together from the log of a run."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrunc.core import environment, jsonio
from jaxtrunc.core.files import staging_name
from jaxtrunc.recipes.steer.config import SteerConfig
from jaxtrunc.recipes.steer.task import SteerTask
from jaxtrunc.recipes.steer.train import LOG, Steered
from jaxtrunc.steer.conflicts import in_conflict

SCHEMA_VERSION = 1
RESULTS, CONFLICTS = "steer.json", "conflicts.npz"
THRESHOLD, FREQUENCY = 0.0, 0.5
LAST = ("primary", "constraint", "cos_mean", "fired_share", "rank_used", "align_f", "align_g", "sti", "sti_after")


def write_conflicts(run: Path, matrices: list[str]) -> None:
    """conflicts.npz: `names`, `cos` (steps, matrices) and, of SIFT, `fired` of the same shape."""
    lines = jsonio.read_lines(run / LOG)
    arrays = {"names": np.asarray(matrices), "cos": np.array([line["cos"] for line in lines], np.float32)}
    if "fired" in lines[0]:
        arrays["fired"] = np.array([line["fired"] for line in lines])
    staged = staging_name(run / CONFLICTS)
    with staged.open("wb") as file:
        np.savez(file, **arrays)
    os.replace(staged, run / CONFLICTS)


def results_of(run: Path, config: SteerConfig, task: SteerTask, done: Steered) -> dict[str, Any]:
    """The contents of steer.json."""
    lines = jsonio.read_lines(run / LOG)
    written = dataclasses.asdict(config) | {"sift": dataclasses.asdict(config.sift_settings())}
    rows = {name: len(next(iter(table.values()))) for name, table in task.tables.items()}
    task_facts = {"name": task.name, "kind": task.kind, "rows": rows}
    return {
        "schema_version": SCHEMA_VERSION, "config": written, "environment": environment.describe(),
        "warnings": _warnings(config, lines),
        "task": task_facts | dict(task.facts or {}), "steps": len(lines), "better": dict(task.better),
        "metrics": {"before": done.before, "after": done.after},
        "cosines_of": "momenta" if config.method == "sift" else "gradients",
        "fired_share": _mean(lines, "fired_share"), "last": {name: lines[-1].get(name) for name in LAST},
        "matrices": done.matrices, "proposal": _proposal(run, done.matrices)}


def _proposal(run: Path, matrices: list[str]) -> dict[str, Any] | None:
    """Matrices and steps that a second run might be confined to, as keys of `sift`; None: there are none."""
    with np.load(run / CONFLICTS) as file:
        often, steps = in_conflict(file["cos"], THRESHOLD, FREQUENCY)
    if not steps:
        return None
    return {"where": [name for name, chosen in zip(matrices, often, strict=True) if chosen], "when": {"steps": list(steps)}}


def _warnings(config: SteerConfig, lines: list[dict[str, Any]]) -> list[str]:
    found = []
    if skipped := sum(line.get("skipped", 0) for line in lines):
        found.append(f"{skipped} updates of a matrix were left out, for a momentum was not finite")
    if over := sum(line.get("over_budget", 0) for line in lines):
        found.append(f"max_active {config.sift_settings().max_active} held back {over} updates that would have fired")
    if config.method == "sift" and not _mean(lines, "fired_share"):
        found.append("SIFT fired nowhere: this run is Muon on the sum of both gradients")
    return found


def _mean(lines: list[dict[str, Any]], name: str) -> float | None:
    values = [line[name] for line in lines if line.get(name) is not None]
    return sum(values) / len(values) if values else None
