"""Full fine-tuning of a decoder on the prompts of a task."""

import dataclasses
from functools import partial
from pathlib import Path

from jax.sharding import Mesh

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.trees import Params
from jaxtrunc.data import Stream
from jaxtrunc.models import DecoderConfig, Execution, leaf_class
from jaxtrunc.train.layout import laid_out, masters
from jaxtrunc.train.loop import Job, Validate, train
from jaxtrunc.train.loss import loss_sum
from jaxtrunc.train.optimiser import adamw
from jaxtrunc.train.scope import split
from jaxtrunc.train.settings import TrainSettings
from jaxtrunc.train.step import Program, per_target
from jaxtrunc.train.utilisation import Work


def finetune(params: Params, cfg: DecoderConfig, stream: Stream, settings: TrainSettings, directory: Path, *,
             execution: Execution, validate: Validate | None = None, resume: bool = False, mesh: Mesh | None = None,
             title: str = "fine-tuning") -> Params:
    """Train the leaves of `settings.scope` and return the whole tree; frozen leaves are the caller's arrays.

    Args:
      params: parameter tree; not consumed. Trained leaves continue as float32 copies.
      stream: training batches, without group labels by construction.
      directory: gets metrics.jsonl and checkpoints/.
      execution: how the forward pass runs; `settings.remat` decides its remat.
      validate: params → accuracy on the validation split.
      mesh: compute mesh; leaves already laid out over it keep their layout, others are laid out as `core.mesh` says.
      title: shown beside the progress bar.

    Raises:
      InputError, RunFailed, Interrupted: see `train`.
    """
    def classes(path: str) -> str:
        return leaf_class(cfg, path)

    trained, frozen = (laid_out(leaves, mesh) for leaves in split(params, classes, settings.scope))
    if not trained:
        raise InputError(f"train: scope '{settings.scope}' selects no tensor of this model")
    decays = {path: classes(path) != "vector" for path in trained}
    execution = dataclasses.replace(execution, remat=settings.remat, mesh=mesh)
    loss = partial(_loss, cfg=cfg, execution=execution)
    trained = masters(trained, mesh)
    work = Work(cfg, execution, kernels=3, head=3 if settings.scope == "all" else 2)
    optimiser = adamw(settings, settings.steps(stream.batches_per_epoch), decays)
    program = Program(per_target(loss, settings.accumulation), optimiser)
    job = Job(title, program.start(trained, mesh), frozen, program, stream, settings, directory, work, validate, mesh)
    return train(job, resume=resume)


def _loss(params: Params, batch, *, cfg: DecoderConfig, execution: Execution):
    return loss_sum(params, cfg, batch, execution)
