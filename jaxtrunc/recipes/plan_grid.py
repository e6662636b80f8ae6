"""`jaxtrunc plan` of a grid: a row per base model and task, since training seeds all take the same."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from jaxtrunc.config import RunConfig
from jaxtrunc.core.errors import InputError, RunFailed
from jaxtrunc.core.yamlio import read_yaml
from jaxtrunc.planning.effort import Amount, Effort, effort, seconds
from jaxtrunc.planning.plan import Plan
from jaxtrunc.planning.sizes import in_words
from jaxtrunc.planning.stage import operations
from jaxtrunc.recipes.grid import Cell, read_grid
from jaxtrunc.recipes.ledger import in_words as time_in_words
from jaxtrunc.recipes.plan import What, Where, plan, planned_config
from jaxtrunc.spectral import plan_levels

UNKNOWN = "–"
PIPE_WIDTH = 160
COLUMNS = ("base-task", "runs", "mesh", "each device", "each host", "disk", "training", "LoRA", "sweep", "time of a run")


@dataclass(frozen=True)
class Row:
    """One base model and task: the cells of its seeds, what a cell takes, and how much work that is."""

    cells: list[Cell]
    plan: Plan
    effort: Effort


@dataclass(frozen=True)
class Undecomposed:
    """What the choice of levels asks of a decomposition that is yet to be made."""

    r_max: int
    matrices: Any


def plan_file(what: What, where: Where, tflops: float | None) -> None:
    """Print the plan of a run, or of every cell of a grid; see `plan` for what is raised.

    Args:
      tflops: sustained by each device, for the hours of a grid; None: operations only.
    """
    if what.config is None or not is_grid(what.config):
        if tflops is not None:
            raise InputError("--tflops: is for a grid, a file with base_models, tasks and seeds")
        plan(what, where)
        return
    if what.base_model or what.model or what.decompose.include or what.decompose.exclude:
        raise InputError(f"{what.config}: is a grid; give overrides such as base_models.NAME=REF or decompose.include=[…] instead")
    if tflops is not None and tflops <= 0:
        raise InputError(f"--tflops: expected a number above 0, found {tflops:g}")
    rows = planned_grid(what.config, what.overrides, where, what.tokens)
    print_rows(rows, tflops)
    short = [f"{row.cells[0].base}-{row.cells[0].task}: {row.plan.shortages[0]}" for row in rows if not row.plan.fits]
    if short:
        raise RunFailed(f"{len(short)} of {len(rows)} do not fit: {'; '.join(short)}")


def is_grid(path: Path) -> bool:
    """Whether a config file is a grid, and no run config."""
    values = read_yaml(path)
    return isinstance(values, dict) and "base_models" in values


def planned_grid(path: Path, overrides: tuple[str, ...], where: Where, tokens: int | None) -> list[Row]:
    """A plan per base model and task of a grid file."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in read_grid(path, overrides)[1]:
        groups.setdefault((cell.base, cell.task), []).append(cell)
    rows = []
    for cells in groups.values():
        config = cells[0].config
        made, _ = planned_config(config, cells[0].directory, tokens, where)
        rows.append(Row(cells, made, effort(made.job, amount(config, made))))
    return rows


def amount(config: RunConfig, plan: Plan) -> Amount:
    """How often a run trains, steps and scores, as far as its config says: train.max_steps and sweep.limit.

    With a limit two splits are taken to be scored, the reported one and validation.
    """
    sweep, lora = config.sweep, config.lora
    coming = cast(Any, Undecomposed(max(matrix.short for matrix in plan.job.matrices), {}))
    levels = plan_levels(coming, sweep.operators, sweep.ranks, fractions=sweep.fractions, alphas=sweep.alphas, seeds=sweep.seeds,
                         match_norm=sweep.match_norm)
    searched = len(lora.learning_rates) if lora.ranks and lora.learning_rate is None else 1
    return Amount(config.train.max_steps, searched + len(lora.ranks) - 1 if lora.ranks else 0,
                  2 + len(levels) + len(lora.ranks), None if sweep.limit is None else 2 * sweep.limit)


def print_rows(rows: list[Row], tflops: float | None) -> None:
    """The table on standard output."""
    from rich.console import Console
    from rich.table import Column, Table

    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, markup=False, highlight=False)
    table = Table(*(Column(name, no_wrap=True) for name in COLUMNS))
    for row in rows:
        table.add_row(*_cells(row, tflops))
    console.print(table)
    times = [time and time * len(row.cells) for row in rows for time in [_time(row, tflops)]]
    if tflops is not None and all(times):
        print(f"all {sum(len(row.cells) for row in rows)} runs: {time_in_words(sum(time for time in times if time))}, "
              f"if every device sustains {tflops:g} TFLOP/s; "
              "prompts are taken as long as the task allows; reading, compiling and rebuilding levels come on top")
    if any(time is None for time in times):
        print("a time is told for --tflops, train.max_steps and sweep.limit")


def _cells(row: Row, tflops: float | None) -> tuple[str, ...]:
    made, first = row.plan, row.cells[0]
    time = _time(row, tflops)
    device = UNKNOWN if made.machine.shared else in_words(max(stage.device_peak() for stage in made.stages))
    host = in_words(max(stage.host_peak(made.machine)[0] for stage in made.stages))
    work = (row.effort.finetuning, row.effort.adapters, row.effort.sweep)
    axes = [f"{axis}={size}" for axis, size in asdict(made.machine.mesh).items() if size > 1]
    return (f"{first.base}-{first.task}", str(len(row.cells)), ",".join(axes) or "1 device", device, host,
            in_words(sum(stage.disk for stage in made.stages)), *(operations(part) if part else UNKNOWN for part in work),
            UNKNOWN if time is None else time_in_words(time))


def _time(row: Row, tflops: float | None) -> float | None:
    work = row.effort.total
    return None if tflops is None or work is None else seconds(work, row.plan.machine, tflops)
