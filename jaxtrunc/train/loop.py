"""The training loop: step, watch, evaluate, checkpoint, and stop or continue without a trace of the interruption."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jax.sharding import Mesh

from jaxtrunc.core.checkpoints import CheckpointStore
from jaxtrunc.core.errors import InputError, Interrupted, RunFailed
from jaxtrunc.core.mesh import batch_divisor
from jaxtrunc.core.progress import progress, say
from jaxtrunc.core.stopping import agreement, stop_request
from jaxtrunc.core.trees import Params
from jaxtrunc.data import Stream, TrainBatch
from jaxtrunc.train.batches import StepBatch, step_batch
from jaxtrunc.train.bookmark import Bookmark
from jaxtrunc.train.layout import optimiser_state
from jaxtrunc.train.metrics import MetricsLog
from jaxtrunc.train.optimiser import adamw, learning_rate
from jaxtrunc.train.scope import Flat, merge
from jaxtrunc.train.settings import TrainSettings
from jaxtrunc.train.step import LossSum, Step, TrainState, make_step
from jaxtrunc.train.utilisation import Work

Validate = Callable[[Params], float]


@dataclass
class Job:
    """Everything one training run consists of.

    Attributes:
      title: shown beside the progress bar.
      trained: `{path: float32 leaf}`, laid out over `mesh`; consumed.
      frozen: `{path: leaf}`, laid out too; never changed.
      decays: trained path → whether weight decay applies.
      loss_sum: (params, batch) → summed loss.
      validate: params → accuracy on the validation split, or None.
      arrange: (batch, steps before it) → what the compiled step takes; None: the batch placed on the mesh.
      directory: gets metrics.jsonl and checkpoints/.
      work: what a step has to compute, for the utilisation that is logged.
      mesh: batch rows are split over its data and fsdp axes; None: one device and one process.
    """

    title: str
    trained: Flat
    frozen: Flat
    decays: dict[str, bool]
    loss_sum: LossSum
    stream: Stream
    settings: TrainSettings
    directory: Path
    work: Work
    validate: Validate | None = None
    mesh: Mesh | None = None
    arrange: Callable[[TrainBatch, int], StepBatch] | None = None

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole run."""
        return min(self.settings.epochs * self.stream.batches_per_epoch, self.settings.max_steps or 2**62)


def train(job: Job, *, resume: bool) -> Params:
    """Run the job to its end and return the whole parameter tree: best-validation or last weights.

    Raises:
      InputError: checkpoints are there but `resume` is not given, or they belong to other settings.
      RunFailed: the loss or gradient stopped being finite; names step and rows. The last good checkpoint stays.
      Interrupted: SIGINT or SIGTERM came; a checkpoint was written.
    """
    _check_rows(job)
    optimiser = adamw(job.settings, job.total_steps, job.decays)
    state = TrainState(job.trained, optimiser_state(optimiser, job.trained, job.mesh))
    with CheckpointStore(job.directory / "checkpoints") as store:
        state, mark = _start(job, state, store, resume)
        try:
            step = make_step(job.loss_sum, optimiser, job.settings.accumulation, state, job.mesh)
            state = _run(job, step, state, mark, store)
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


def _start(job: Job, state: TrainState, store: CheckpointStore, resume: bool) -> tuple[TrainState, Bookmark]:
    """State and bookmark to begin with: fresh, or those of the newest checkpoint."""
    if store.steps and not resume:
        raise InputError(f"{store.directory}: holds checkpoints of an earlier run; --resume continues it")
    if not store.steps:
        return state, Bookmark()
    newest = store.steps[-1]
    facts = store.facts(newest)
    mark = Bookmark.from_facts(facts, job.settings, job.total_steps, str(store.directory))
    job.stream.restore(facts["position"])
    say(f"{job.title}: resuming after step {newest} of {job.total_steps}")
    return store.load(newest, state), mark


def _run(job: Job, step: Step, state: TrainState, mark: Bookmark, store: CheckpointStore) -> TrainState:
    rate = learning_rate(job.settings, job.total_steps)
    log = MetricsLog(job.directory / "metrics.jsonl", rate, job.settings.log_every, mark.step, job.work)
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
