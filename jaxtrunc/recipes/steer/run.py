"""`jaxtrunc steer`: a run directory from one config."""

import dataclasses
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jaxtrunc.config import read_config
from jaxtrunc.core import environment, jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.lock import LOCK
from jaxtrunc.core.progress import say
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.models import to_hf, write_model
from jaxtrunc.recipes.steer.config import SteerConfig
from jaxtrunc.recipes.steer.results import CONFLICTS, RESULTS, results_of, write_conflicts
from jaxtrunc.recipes.steer.task import SteerTask
from jaxtrunc.recipes.steer.tasks import open_task
from jaxtrunc.recipes.steer.train import Steered, steer_run
from jaxtrunc.recipes.weights import open_mesh
from jaxtrunc.report.steer import print_steering, write_steer_report

MODEL, BASE = "model", "base"
FIXED = ("task", "preset", "primary", "constraint", "method", "combine", "sift")


def steer(config_path: Path, overrides: tuple[str, ...], out_path: Path | None, *, resume: bool) -> None:
    """Train as a config file says; with `resume`, from wherever it stopped.

    Raises:
      InputError: anything wrong with config, task, rows or model; RunFailed: a loss or gradient stopped being finite;
        Interrupted: stopped by a signal.
    """
    config = read_config(config_path, overrides, SteerConfig)
    run = RunDir(out_path or Path(config.out_path or f"runs/{config.name}"))
    run.check_free(RESULTS, resume=resume)
    with run.lock(), _nothing_if_refused(run):
        facts = dataclasses.asdict(config) | {"environment": environment.describe()}
        run.begin("steer", RESULTS, facts, resume=resume, fixed=FIXED)
        if run.is_finished(RESULTS) and run.is_finished(MODEL):
            say(f"steer: {run / RESULTS} is there already")
            return
        mesh = None if config.mesh is None else open_mesh(config.mesh)
        task = open_task(config.task_settings, config_path.parent, run / BASE, mesh)
        _store(run, config, task, steer_run(task, config, run.path, resume=resume, mesh=mesh))


@contextmanager
def _nothing_if_refused(run: RunDir) -> Iterator[None]:
    """What was written into an empty directory goes again if the input is refused; asked for under the lock."""
    empty = all(item.name == LOCK for item in run.path.iterdir())
    try:
        yield
    except InputError:
        if empty:
            shutil.rmtree(run.path, ignore_errors=True)
        raise


def _store(run: RunDir, config: SteerConfig, task: SteerTask, done: Steered) -> None:
    """Everything that is written after the last step, each file whole or not at all; steer.json is the last that counts."""
    write_conflicts(run.path, done.matrices)
    run.seal(CONFLICTS)
    if not run.is_finished(MODEL):
        write_model(run / MODEL, to_hf(task.cfg, done.params), source=task.source, cfg=task.cfg, dtype="float32")
        run.seal(MODEL)
    found = results_of(run.path, config, task, done)
    jsonio.write_json(run / RESULTS, found)
    run.seal(RESULTS)
    write_steer_report(run.path, jsonio.strict(found))
    print_steering(jsonio.strict(found))
    say(f"report: {run / 'report.html'}")
