"""The training loop: step, watch, evaluate, checkpoint, and stop or continue without a trace of the interruption."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from jaxtrunc.core.checkpoints import CheckpointStore
from jaxtrunc.core.errors import InputError, Interrupted, RunFailed
from jaxtrunc.core.mesh import batch_divisor
from jaxtrunc.core.progress import progress, say
from jaxtrunc.core.stopping import agreement, stop_request
from jaxtrunc.core.trees import Params
from jaxtrunc.data import Stream
from jaxtrunc.train.batches import step_batch
from jaxtrunc.train.bookmark import Bookmark
from jaxtrunc.train.metrics import MetricsLog
from jaxtrunc.train.optimiser import learning_rate
from jaxtrunc.train.scope import Flat, merge
from jaxtrunc.train.settings import TrainSettings
from jaxtrunc.train.step import Program, TrainState
from jaxtrunc.train.utilisation import Work

Validate = Callable[[Params], float]


@dataclass
class Job:
    """Everything one training run consists of.

    Attributes:
      title: shown beside the progress bar.
      state: before the first step, laid out over `mesh`; consumed.
      frozen: `{path: leaf}`, laid out too; never changed.
      program: what every step does.
      stream: batches, each with the `ids` of its rows.
      validate: params → accuracy on the validation split, or None.
      arrange: (batch, steps before it) → what the compiled step takes; None: the batch placed on the mesh.
      directory: gets the log and checkpoints/.
      work: what a step has to compute, for the utilisation that is logged.
      mesh: batch rows are split over its data and fsdp axes; None: one device and one process.
      log: name of the file with a line every so many steps.
    """

    title: str
    state: TrainState
    frozen: Flat
    program: Program
    stream: Stream
    settings: TrainSettings
    directory: Path
    work: Work
    validate: Validate | None = None
    mesh: Mesh | None = None
    arrange: Callable[[Any, int], Any] | None = None
    log: str = "metrics.jsonl"

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.settings.steps(self.stream.batches_per_epoch)


def train(job: Job, *, resume: bool) -> Params:
    """Run the job to its end and return the whole parameter tree: best-validation or last weights.

    Raises:
      InputError: checkpoints are there but `resume` is not given, or they belong to other settings.
      RunFailed: the loss or gradient stopped being finite; names step and rows. The last good checkpoint stays.
      Interrupted: SIGINT or SIGTERM came; a checkpoint was written.
    """
    _check_rows(job)
    with CheckpointStore(job.directory / "checkpoints") as store:
        mark = _start(job, store, resume)
        try:
            state = _run(job, mark, store)
        except RunFailed as failure:
            kept = f"checkpoint {store.steps[-1]} in {store.directory} is good" if store.steps else "no checkpoint yet"
            raise RunFailed(f"{failure}; {kept}; lower the learning rate or look at these rows") from None
        if job.settings.keep == "best" and mark.best_step not in (None, mark.step):
            say(f"{job.title}: best validation accuracy {mark.best_accuracy:.4f} was at step {mark.best_step}")
            state = store.load(mark.best_step, state)
        return merge(state.trained, job.frozen)


def _check_rows(job: Job) -> None:
    rows = job.settings.accumulation * (batch_divisor(job.mesh) if job.mesh is not None else 1)
    if job.settings.batch_size % rows:
        raise InputError(f"train: batch_size {job.settings.batch_size} is not a multiple of {rows} "
                         "(accumulation × devices along data and fsdp)")


def _start(job: Job, store: CheckpointStore, resume: bool) -> Bookmark:
    """The bookmark to begin with, fresh or that of the newest checkpoint, whose state becomes the job's."""
    if store.steps and not resume:
        raise InputError(f"{store.directory}: holds checkpoints of an earlier run; --resume continues it")
    if not store.steps:
        return Bookmark()
    newest = store.steps[-1]
    facts = store.facts(newest)
    mark = Bookmark.from_facts(facts, job.settings, job.total_steps, str(store.directory))
    job.stream.restore(facts["position"])
    say(f"{job.title}: resuming after step {newest} of {job.total_steps}")
    job.state = store.load(newest, job.state)
    return mark


def _run(job: Job, mark: Bookmark, store: CheckpointStore) -> TrainState:
    state, step = job.state, job.program.compiled(job.state, job.mesh)
    rate = learning_rate(job.settings, job.total_steps)
    log = MetricsLog(job.directory / job.log, rate, job.settings.log_every, mark.step, job.work)
    with stop_request() as request, progress(job.title, job.total_steps) as advance:
        stop = agreement(request, job.mesh)
        advance(mark.step)
        while mark.step < job.total_steps and not mark.stopped:
            log.begin()
            batch = next(job.stream)
            arranged = job.arrange(batch, mark.step) if job.arrange else step_batch(batch, job.mesh)
            state, measured = step(state, job.frozen, arranged)
            mark.step += 1
            log.add(mark.step, measured, batch)
            _after_step(job, state, mark, store, log, stop())
            advance(1, _note(log, mark))
    if speed := log.summary():
        say(f"{job.title}: {speed}")
    return state


def _after_step(job: Job, state: TrainState, mark: Bookmark, store: CheckpointStore, log: MetricsLog,
                stop: str | None) -> None:
    """Evaluate and checkpoint when due; a checkpoint is written only after its step is known to be finite."""
    last = mark.step == job.total_steps
    improved = False
    if job.validate is not None and (last or mark.step % _eval_every(job) == 0):
        log.flush()
        accuracy = float(job.validate(merge(state.trained, job.frozen)))
        log.evaluation(mark.step, accuracy)
        improved = mark.evaluated(accuracy, job.settings.patience)
    if improved or last or mark.stopped or stop or mark.step % job.settings.checkpoint_every == 0:
        log.flush()
        facts = mark.facts(job.settings, job.total_steps, job.stream.state)
        store.save(mark.step, state, facts, keep=(mark.best_step,))
    if stop and not (last or mark.stopped):
        raise Interrupted(f"{stop} after step {mark.step} of {job.total_steps}; everything so far is in "
                          f"{job.directory}, resume with --resume")


def _eval_every(job: Job) -> int:
    return job.settings.eval_every or job.stream.batches_per_epoch


def _note(log: MetricsLog, mark: Bookmark) -> str:
    best = "" if mark.best_accuracy is None else f", best accuracy {mark.best_accuracy:.3f}"
    loss = "" if math.isnan(log.last_loss) else f"loss {log.last_loss:.4f}"  # none is logged yet
    return f"{loss}{best}"
