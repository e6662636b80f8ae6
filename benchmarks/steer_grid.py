"""Eight methods on the four offline steering tasks: learning rates on one seed, results on five others, fronts, ablations.

    python benchmarks/steer_grid.py           every cell is kept in runs/steer_grid when it is done
    python benchmarks/steer_page.py           the page from what was collected

A run that was stopped goes on where it was: a cell whose file is there is not run again.
"""

import argparse
import dataclasses
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

from steering import cells
from steering.cells import BASELINE, METHODS, TASKS, Cell
from steering.numbers import chosen_rate, fired_share
from suite import machine

from jaxtrunc.core import jsonio
from jaxtrunc.core.progress import progress, say, set_quiet

ROOT = Path(__file__).parents[1]
WORK, COLLECTED = ROOT / "runs" / "steer_grid", ROOT / "benchmarks" / "results" / "steer" / "grid.json"
# One worker a core: none of them may use more threads.
ALONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
         "JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(WORK / "compiled"),
         "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5"}
MOST_WANTED = sorted(METHODS, key=lambda method: method not in (BASELINE, "sift"))
Key = tuple[str, str]
Results = dict[Cell, dict[str, Any]]


def main() -> None:
    """Bases, grid, fronts, ablations; then one file of everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--minutes", type=float, default=110.0, help="fronts and ablations: no cell is begun after this long")
    asked = parser.parse_args()
    os.environ.update(ALONE)
    started = time.monotonic()
    with ProcessPoolExecutor(asked.workers, multiprocessing.get_context("spawn"), set_quiet, (True,)) as pool:
        stage = partial(run_stage, pool)
        stage("bases", make_base, {(task, str(seed)): (task, seed) for task in TASKS for seed in (cells.TUNING_SEED, *cells.SEEDS)})
        results, own = grid(stage)
        until = started + 60 * asked.minutes
        fronts = {(task, method): (cells.front(task, method, own[task, method]), until) for method in MOST_WANTED for task in TASKS}
        for name, groups in {"fronts": fronts, "ablations": ablated(own, results, until)}.items():
            results |= joined(stage(name, run_cells, groups).values())
    keep(results, own)


def grid(stage: Callable[..., dict[Key, Results]]) -> tuple[Results, dict[Key, float]]:
    """Every method on every task; → results, chosen learning rates."""
    found = stage("grid", tuned_and_tested, {(task, method): (task, method) for task in TASKS for method in METHODS})
    results = joined(found.values())
    return results, {key: chosen_rate(results, cells.tuning(*key)) for key in found}


def ablated(own: dict[Key, float], results: Results, until: float) -> dict[Key, tuple[list[Cell], float]]:
    """SIFT with one thing changed, a gate that opens at random as often as SIFT's among them."""
    found = {}
    for task in TASKS:
        rate = own[task, "sift"]
        gate = cells.random_gate(fired_share([results[cell] for cell in cells.tests(task, "sift", rate)]))
        found |= {(task, name): (cells.ablation(task, name, rate), until) for name in (gate, *cells.ABLATIONS)}
    return found


def run_stage(pool: ProcessPoolExecutor, name: str, work: Callable[..., Any], groups: dict[Key, tuple[Any, ...]]) -> dict[Key, Any]:
    """`work(*group)` of every group."""
    pending: dict[Future[Any], Key] = {pool.submit(work, *group): key for key, group in groups.items()}
    found = {}
    with progress(name, len(groups)) as advance:
        for done in as_completed(pending):
            found[pending[done]] = done.result()
            advance(1, " ".join(pending[done]))
    return {key: found[key] for key in groups}


def make_base(task: str, seed: int) -> bool:
    """Train the base of one world, unless it is there."""
    from steering.run import task_of

    task_of(task, seed, WORK / "bases")
    return True


def tuned_and_tested(task: str, method: str) -> Results:
    """Each learning rate on the tuning seed, the best of them on all others."""
    tuned = run_cells(cells.tuning(task, method))
    return tuned | run_cells(cells.tests(task, method, chosen_rate(tuned, list(tuned))))


def run_cells(wanted: Iterable[Cell], until: float = math.inf) -> Results:
    """One after the other in this process, so that they share what is compiled; none is begun after `until`."""
    from steering.run import kept, run_cell

    place = WORK / "cells"
    return {cell: run_cell(cell, place, WORK / "bases") for cell in wanted
            if time.monotonic() < until or kept(cell, place).exists()}


def joined(parts: Iterable[Results]) -> Results:
    """One mapping of all."""
    return {cell: result for part in parts for cell, result in part.items()}


def keep(results: Results, own: dict[Key, float]) -> None:
    """Everything but the course of the losses in one file, one cell a line."""
    minutes = sum(result["cpu_seconds"] for result in results.values()) / 60
    facts = {"cpu_minutes": minutes, "machine": machine.describe(),
             "rates": [{"task": task, "method": method, "rate": rate} for (task, method), rate in own.items()]}
    told = [{key: value for key, value in result.items() if key != "losses"} for result in results.values()]
    lines = [jsonio.dumps({**one, "cell": dataclasses.asdict(cell)}) for cell, one in zip(results, told, strict=True)]
    jsonio.write_text(COLLECTED, f'{{"facts": {jsonio.dumps(facts)},\n"cells": [\n' + ",\n".join(lines) + "\n]}\n")
    say(f"{len(results)} cells, {minutes:.0f} minutes of CPU time: {COLLECTED.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
