"""One cell, run by `jaxtrunc.recipes.steer` as any other run, and what is kept of it."""

import re
import tempfile
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from steering.cells import MEANS, STEPS, Cell, settings

from jaxtrunc.core import jsonio
from jaxtrunc.recipes.steer.config import SteerConfig
from jaxtrunc.recipes.steer.offline.tasks import offline_task
from jaxtrunc.recipes.steer.settings import ConstraintSettings, PrimarySettings, SteerTraining
from jaxtrunc.recipes.steer.task import SteerTask
from jaxtrunc.recipes.steer.train import LOG, Steered, steer_run

BATCH, CLIP, BETA = 16, 1.0, {"safety": 0.1}
EPOCHS = 10  # more than there are steps for

task_of = lru_cache(maxsize=24)(offline_task)  # a world and its base serve many cells


def config_of(cell: Cell, steps: int = STEPS) -> SteerConfig:
    """The cell as a config of `jaxtrunc steer`."""
    train = SteerTraining(scope="all", learning_rate=cell.rate, batch_size=BATCH, clip=CLIP, epochs=EPOCHS, max_steps=steps,
                          checkpoint_every=steps, seed=cell.seed)
    return SteerConfig(cell.task, primary=PrimarySettings(beta=BETA.get(cell.task)), train=train,
                       constraint=ConstraintSettings(weight=cell.weight), **settings(cell))


def kept(cell: Cell, cells: Path) -> Path:
    """The file of its result."""
    return cells / f"{cell.name}.json"


def run_cell(cell: Cell, cells: Path, cache: Path, steps: int = STEPS) -> dict[str, Any]:
    """The result of a cell: the file it has left below `cells`, or that of a run now."""
    file = kept(cell, cells)
    if not file.exists():
        task, begun = task_of(cell.task, cell.seed, cache), time.process_time()
        with tempfile.TemporaryDirectory() as work:
            done = steer_run(task, config_of(cell, steps), Path(work), resume=False)
            log = list(jsonio.read_lines(Path(work) / LOG))
        jsonio.write_json(file, _told(cell, task, done, log) | {"cpu_seconds": time.process_time() - begun})
    return jsonio.read_json(file)


def _told(cell: Cell, task: SteerTask, done: Steered, log: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"cell": vars(cell), "better": dict(task.better), "base": done.before["test"], **done.after,
                             "losses": [[line["primary"], line["constraint"]] for line in log]}
    for name in MEANS:
        if name in log[0]:
            values = [np.nan if line[name] is None else line[name] for line in log]
            found[name] = float(np.nanmean(values)) if np.isfinite(values).any() else None
    if "fired" in log[0]:
        found["fired"] = _by_layer(np.asarray([line["fired"] for line in log], float), done.matrices)
    return found


def _by_layer(fired: np.ndarray, matrices: list[str]) -> list[list[float]]:
    """(steps, matrices) → share of each layer's matrices, (layers, steps)."""
    layer = np.array([int(re.findall(r"\[(\d+)\]$", name)[0]) for name in matrices])
    return [fired[:, layer == number].mean(1).tolist() for number in sorted(set(layer))]
