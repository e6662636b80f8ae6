"""`jaxtrunc study`: every cell of one or more grids, one after the other; what is done is skipped, what fails is named."""

import dataclasses
import gc
import time
from collections.abc import Sequence
from pathlib import Path

import jax

from jaxtrunc.core import jsonio, processes
from jaxtrunc.core.errors import InputError, Interrupted, JaxtruncError, RunFailed
from jaxtrunc.core.files import naming
from jaxtrunc.core.lock import one_writer
from jaxtrunc.core.processes import is_main
from jaxtrunc.core.progress import say
from jaxtrunc.core.rundir import RunDir
from jaxtrunc.recipes.grid import Cell, read_grid
from jaxtrunc.recipes.ledger import DONE, FAILED, Ledger, check_free, in_words
from jaxtrunc.recipes.report import RESULTS
from jaxtrunc.recipes.run import make_run
from jaxtrunc.recipes.shared_rate import with_shared_rate
from jaxtrunc.recipes.sweep import check_settings

NOTE = "study"  # what a cell's manifest calls this


def study(files: Sequence[Path], assignments: tuple[str, ...], out: Path, *, resume: bool) -> None:
    """Run the cells of all grid files into `out`/NAME/CELL; every grid is read and checked before anything is run.

    Raises:
      InputError: a grid is wrong, or a study is there without `resume`.
      RunFailed: cells failed; names each with its error. All others are done.
    """
    grids: dict[str, list[Cell]] = {}
    for file in files:
        name, cells = read_grid(file, assignments)
        if name in grids:
            raise InputError(f"{file}: name: another of these studies is called '{name}' too")
        grids[name] = cells
    for name, cells in grids.items():
        if is_main():
            check_free(out / name, resume=resume)
        for cell in cells:
            check_settings(cell.config.sweep)
    processes.wait_for_all("studies are checked")
    failures = {cell: error for name, cells in grids.items() for cell, error in run_cells(out / name, name, cells).items()}
    if failures:
        count = sum(map(len, grids.values()))
        said = "; ".join(f"{name} ({error})" for name, error in failures.items())
        raise RunFailed(f"{len(failures)} of {count} cells failed: {said}; all others are done, --resume tries these again")


def run_cells(path: Path, name: str, cells: Sequence[Cell]) -> dict[str, str]:
    """Run the cells of one study; returns the errors of those that failed by their name."""
    path.mkdir(parents=True, exist_ok=True)
    failures: dict[str, str] = {}
    with naming(path), one_writer(path) if is_main() else naming(path):
        ledger = Ledger(path, name, cells)
        ledger.write()
        done = set(processes.collect([cell.name for cell in cells if is_finished(path / cell.name, cell)])[0])
        say(f"study {name}: {len(cells)} cells in {path}, {len(done)} of them done")
        waiting = [cell for cell in cells if cell.name not in done]
        for number, cell in enumerate(waiting):
            left = ledger.seconds_left(waiting[number:])
            say(f"cell {len(done) + number + 1} of {len(cells)}: {cell.name}" + (f", {in_words(left)} left" if left else ""))
            if error := _attempt(path, ledger, cell, cells):
                failures[cell.name] = error
    say(f"study {name}: {len(cells) - len(failures)} of {len(cells)} cells are done; `jaxtrunc collect {path}` puts them together")
    return failures


def is_finished(path: Path, cell: Cell) -> bool:
    """Whether the run in `path` has come to its end with this very config, and its results are whole."""
    run = RunDir(path)
    try:
        if run.manifest["verbs"].get(NOTE, {}).get("finished") != jsonio.strict(dataclasses.asdict(cell.config)):
            return False
        run.verify(RESULTS, NOTE)
    except InputError:  # damaged: the run itself says so, or makes it again
        return False
    return (run / RESULTS).exists()


def _attempt(path: Path, ledger: Ledger, cell: Cell, cells: Sequence[Cell]) -> str | None:
    """Run one cell and note how it ended; the error of one that failed, which stops only several processes."""
    start = time.monotonic()
    try:
        _run(path, cell, cells)
    except Interrupted:
        raise
    except Exception as error:
        sentence = str(error) if isinstance(error, JaxtruncError) else f"{type(error).__name__}: {error}"
        ledger.set(cell, FAILED, seconds=time.monotonic() - start, error=sentence)
        if jax.process_count() > 1:
            raise  # the others may be waiting for this one
        say(f"cell {cell.name} failed: {sentence}")
        return sentence
    finally:
        gc.collect()  # compiled functions and their weights refer to each other
    ledger.set(cell, DONE, seconds=time.monotonic() - start)
    return None


def _run(path: Path, cell: Cell, cells: Sequence[Cell]) -> None:
    run = RunDir(path / cell.name)
    run.note(NOTE, {"base": cell.base, "task": cell.task, "seed": cell.seed})
    others = [path / other.name for other in cells if (other.base, other.task) == (cell.base, cell.task) and other is not cell]
    make_run(with_shared_rate(cell.config, run, others), cell.directory, run.path, resume=True)
    run.note(NOTE, {"finished": dataclasses.asdict(cell.config)})
