"""One steering run: metrics before, training in the common loop, metrics after."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from jaxtrunc.core.errors import InputError, did_you_mean
from jaxtrunc.core.mesh import batch_sharding, place
from jaxtrunc.core.trees import Params, flatten
from jaxtrunc.models import Execution, flops, leaf_class
from jaxtrunc.recipes.steer.aims import aim_of, losses_of, with_reference
from jaxtrunc.recipes.steer.config import SteerConfig
from jaxtrunc.recipes.steer.program import program, shared, with_peak
from jaxtrunc.recipes.steer.rows import RowStream, SteerBatch, checked
from jaxtrunc.recipes.steer.settings import SiftSettings
from jaxtrunc.recipes.steer.task import Split, SteerTask
from jaxtrunc.recipes.steer.watch import matrices
from jaxtrunc.train.layout import laid_out, masters
from jaxtrunc.train.loop import Job, train
from jaxtrunc.train.scope import split
from jaxtrunc.train.utilisation import Work

LOG = "steer.jsonl"
SPLITS: tuple[Split, ...] = ("validation", "test")
PASSES = {True: 3, False: 2}  # over trained matrices, over others


@dataclass(frozen=True)
class Steered:
    """What a run ends with.

    Attributes:
      params: the whole tree, float32.
      before, after: split → metric → value, of the base model and of `params`.
      matrices: names of the hidden matrices, as `cos` and `fired` of steer.jsonl have them.
    """

    params: Params
    before: dict[str, dict[str, float]]
    after: dict[str, dict[str, float]]
    matrices: list[str]


class PairWork(Work):
    """What a step on rows of both objectives has to compute, every position taken for a target."""

    def tokens(self, batch: Any) -> int:
        """Real ones of all rows."""
        return batch.tokens

    def of(self, batch: Any) -> float:
        """Operations: of real tokens alone."""
        body, head = flops.body(self.cfg, batch.tokens, batch.tokens), flops.head(self.cfg)
        return float(self.kernels * body + self.head * batch.tokens * head)


def steer_run(task: SteerTask, config: SteerConfig, directory: Path, *, resume: bool, mesh: Mesh | None = None) -> Steered:
    """Train `task.params` as `config` says, over `mesh` if there is one; writes steer.jsonl and checkpoints/ into `directory`.

    Runs of equal settings, task kind and shapes that differ in seed or learning rate share their compiled programs in one process.

    Raises:
      InputError: what cannot be trained so, such as a `where` that matches nothing or rows without anything to predict.
      RunFailed, Interrupted: as in `train`.
    """
    job = steer_job(task, config, directory, mesh)
    before = measured(task, task.params)
    params = train(job, resume=resume)
    return Steered(params, before, measured(task, params), matrices(flatten(params)))


def steer_job(task: SteerTask, config: SteerConfig, directory: Path, mesh: Mesh | None = None) -> Job:
    """The run as the training loop takes it."""
    settings, execution = config.train, Execution(remat=config.train.remat, mesh=mesh)
    checked(task.tables)
    aim, factor = aim_of(task, config.primary, config.constraint, execution)
    tables = with_reference(task.tables, replace(aim, execution=Execution()), task.params)  # a few rows at a time, on any mesh
    stream = RowStream(tables, settings.batch_size, settings.seed)
    trained, frozen = (laid_out(leaves, mesh) for leaves in split(task.params, lambda path: leaf_class(task.cfg, path),
                                                                  settings.scope))
    steps = settings.steps(stream.batches_per_epoch)
    if config.method == "sift":
        _can_fire(config.sift_settings(), matrices(trained), steps)
    chosen = program(losses_of(aim, factor), config.method, config.combine or "weighted_sum", config.sift_settings(),
                     shared(settings), steps, mesh)
    state = with_peak(chosen.start(masters(trained, mesh), mesh), settings.learning_rate)
    work = PairWork(task.cfg, execution, kernels=3, head=PASSES[settings.scope == "all"])
    return Job(f"steering by {config.method}", state, frozen, chosen, stream, settings, directory, work, mesh=mesh,
               arrange=partial(_arrays, mesh=mesh), log=LOG)


def _can_fire(chosen: SiftSettings, names: list[str], steps: int) -> None:
    """Refuse names in `where` that are no matrix, and a `when` without a step of this run."""
    known = {*names, *(name.rpartition("[")[0] for name in names)}
    for name in chosen.where if isinstance(chosen.where, tuple) else ():
        if name not in known:
            raise InputError(f"sift: where: '{name}' is no trained matrix{did_you_mean(name, known)}")
    if not chosen.when.any_before(steps):
        raise InputError(f"sift: when: none of its steps is among the {steps} of this run, counted from 0")


def measured(task: SteerTask, params: Params) -> dict[str, dict[str, float]]:
    """Every metric on both splits."""
    return {name: task.metrics(params, name) for name in SPLITS}


def _arrays(batch: SteerBatch, step: int, mesh: Mesh | None) -> dict[str, Any]:
    del step
    return {name: rows if mesh is None else place(rows, batch_sharding(mesh)) for name, rows in batch.arrays.items()}
