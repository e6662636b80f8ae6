"""`jaxtrunc finetune`: a base model, a benchmark, and the fine-tuned model in RUN/model."""

import collections
import dataclasses
from pathlib import Path

from jax.sharding import Mesh

from jaxtrunc.config import FinetuneConfig, RunConfig
from jaxtrunc.core import environment
from jaxtrunc.core.processes import is_main
from jaxtrunc.core.progress import say
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.core.trees import Params
from jaxtrunc.evals import VALIDATION, Scorer
from jaxtrunc.models import Execution, to_hf, write_model
from jaxtrunc.recipes.bench import TRAIN, Bench, open_bench, require_train
from jaxtrunc.recipes.memory import tell_memory
from jaxtrunc.recipes.pair import Side, open_side
from jaxtrunc.recipes.weights import load, open_mesh
from jaxtrunc.train.finetune import finetune as train_on
from jaxtrunc.train.loop import Validate

ARTEFACT = "model"
EVALUATION_BATCH = 64


def finetune(base_model: str, task: Path, out_path: Path, config: FinetuneConfig, *, resume: bool) -> None:
    """Fine-tune a base model on a task file; writes `out_path`/model.

    Raises:
      InputError: see the rooms below; RunFailed: the loss stopped being finite; Interrupted: stopped by a signal.
    """
    side = open_side(base_model)
    bench = open_bench(task, task.parent, side.source.directory, (TRAIN,))
    finetune_on(side, bench, out_path, config, resume=resume)
    done = RunConfig("finetune", base_model, str(task), train=config.train, mesh=config.mesh)
    tell_memory(RunDir(out_path), "finetune", done, Path())


def finetune_on(side: Side, bench: Bench, out_path: Path, config: FinetuneConfig, *, resume: bool) -> None:
    """The same with everything opened; a finished model is left as it is when resuming."""
    require_train(bench.task)
    mesh = open_mesh(config.mesh)
    stream = bench.stream(config.train)
    run = RunDir(out_path)
    run.check_free(ARTEFACT, resume=resume)
    with run.lock():
        facts = {"base_model": side.ref, "task": bench.task.resolved(), "prompts": bench.prompter.describe(),
                 "rows": len(bench.data.examples[TRAIN]), "environment": environment.describe(), "warnings": bench.data.warnings}
        run.begin("finetune", ARTEFACT, facts | dataclasses.asdict(config), resume=resume, fixed=("base_model", "task", "train"))
        if run.is_finished(ARTEFACT):
            say(f"model: {run / ARTEFACT} is there already")
            return
        cfg = side.source.cfg
        params = train_on(load(side.leaves, mesh), cfg, stream, config.train, out_path, execution=Execution(),
                          validate=validation_accuracy(bench, side, mesh), resume=resume, mesh=mesh)
        _store(run, side, params)
    say(f"model: {run / ARTEFACT}")


def _store(run: RunDir, side: Side, params: Params) -> None:
    """Write RUN/model: every process gives its part of each tensor, process 0 writes."""
    tensors = to_hf(side.source.cfg, params)
    if is_main():
        write_model(run / ARTEFACT, tensors, source=side.source.directory, cfg=side.source.cfg, dtype="float32")
    else:
        collections.deque(tensors, maxlen=0)
    run.seal(ARTEFACT)


def validation_accuracy(bench: Bench, side: Side, mesh: Mesh | None) -> Validate | None:
    """Params → accuracy on the validation split, without group labels; None where there is no such split."""
    if VALIDATION not in bench.task.splits:
        return None
    rows = bench.eval_set(VALIDATION, EVALUATION_BATCH)
    scorer = Scorer(side.source.cfg, Execution(), mesh)
    return lambda params: float((scorer.score(params, rows).predictions == rows.truth.labels).mean())
