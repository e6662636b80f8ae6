"""`jaxtrunc run`: fine-tune (or take a model), decompose, sweep, report, in one run directory."""

import dataclasses
from pathlib import Path

from jaxtrunc.config import FinetuneConfig, RunConfig, read_config
from jaxtrunc.core.processes import is_main
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.recipes.bench import TRAIN, open_bench
from jaxtrunc.recipes.decompose import check_serves, decompose_pair
from jaxtrunc.recipes.finetune import finetune_on
from jaxtrunc.recipes.lora import check_lora, lora_on
from jaxtrunc.recipes.memory import tell_memory
from jaxtrunc.recipes.pair import located, open_side, recall_pair
from jaxtrunc.recipes.report import announce
from jaxtrunc.recipes.sweep import ARTEFACT, check_settings, sweep_on


def run(config_path: Path, overrides: tuple[str, ...], out_path: Path | None, *, resume: bool) -> None:
    """Run a config file from beginning to end; with `resume`, from wherever it stopped.

    Everything of the input that can be wrong (task, rows, label words, empty groups, operators) is found out before
    anything is trained.
    """
    config = read_config(config_path, overrides)
    out = out_path or Path(config.out_path or Path("runs") / config.name)
    run_config(config, config_path.parent, out, resume=resume)


def run_config(config: RunConfig, directory: Path, out: Path, *, resume: bool) -> None:
    """The same for a parsed config whose relative paths start from `directory`."""
    make_run(config, directory, out, resume=resume)
    tell_memory(RunDir(out), "run", config, directory)
    if is_main():
        announce(out)


def make_run(config: RunConfig, directory: Path, out: Path, *, resume: bool) -> None:
    """The same without the table."""
    check_settings(config.sweep)
    check_serves(config.decompose, config.sweep)
    base = located(config.base_model, directory)
    side = open_side(base)
    splits = (config.sweep.split, *([TRAIN] if config.model is None or config.lora.ranks else []))
    bench = open_bench(config.task, directory, side.source.directory, splits, config.sweep.limit)
    check_lora(side, bench, config)
    cell = RunDir(out)
    cell.check_free(ARTEFACT, resume=resume)
    model = located(config.model, directory) if config.model else str(out / "model")
    if config.model is None:
        finetune_on(side, bench, out, FinetuneConfig(config.train, config.mesh), resume=resume)
    lora_on(side, bench, cell, config, resume=resume)
    decompose_pair(base, model, out, config.decompose, resume=resume)
    cell.note("run", {"config": dataclasses.asdict(config)})
    sweep_on(cell, recall_pair(cell), bench, config.sweep, config.mesh, resume=resume)
