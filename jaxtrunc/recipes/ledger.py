"""What a study directory knows of its cells: study.json, written anew whenever a cell ends."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.core.lock import LOCK
from jaxtrunc.core.processes import is_main
from jaxtrunc.core.rundir import SCHEMA_VERSION
from jaxtrunc.recipes.grid import PLAIN_NAME, Cell

STUDY = "study.json"
WAITING, DONE, FAILED = "waiting", "done", "failed"


class Ledger:
    """The state of every cell of one study; process 0 writes it.

    Args:
      path: the study directory; one that is there already is continued.
    """

    def __init__(self, path: Path, name: str, cells: Sequence[Cell]):
        self.path, self._name, self._cells = path, name, cells
        before = cells_of(path / STUDY) if (path / STUDY).exists() else {}
        fresh = {"state": WAITING, "error": None, "seconds": None}
        self._facts = before | {cell.name: fresh | before.get(cell.name, {}) | _identity(cell) for cell in cells}

    def set(self, cell: Cell, state: str, *, seconds: float | None = None, error: str | None = None) -> None:
        """Note how a cell stands; `seconds` is what this program has worked on it."""
        facts = self._facts[cell.name]
        worked = (facts["seconds"] or 0.0) + seconds if seconds is not None else facts["seconds"]
        self._facts[cell.name] = facts | {"state": state, "seconds": worked, "error": error}
        self.write()

    def write(self) -> None:
        """Write study.json."""
        if is_main():
            jsonio.write_json(self.path / STUDY, {"schema_version": SCHEMA_VERSION, "name": self._name, "cells": self._facts})

    def seconds_left(self, waiting: Sequence[Cell]) -> float | None:
        """What the cells yet to run will take, by the mean of those done of the same base model, else of all; None at first."""
        done = [(cell.base, facts["seconds"]) for cell in self._cells
                if (facts := self._facts[cell.name])["state"] == DONE and facts["seconds"] is not None]
        if not done:
            return None
        overall = fmean(seconds for _, seconds in done)
        means = {base: fmean(seconds for other, seconds in done if other == base) for base, _ in done}
        return sum(means.get(cell.base, overall) for cell in waiting)


def check_free(path: Path, *, resume: bool) -> None:
    """Raise `InputError` if a study in `path` would overwrite something, or continue what is no study."""
    if path.is_file():
        raise InputError(f"{path}: is a file; give a directory for the study with --out-path")
    if not path.exists() or not {item.name for item in path.iterdir()} - {LOCK}:
        return
    if not (path / STUDY).exists():
        raise InputError(f"{path}: not empty and not a study (no {STUDY}); choose another --out-path")
    if not resume:
        raise InputError(f"{path}: already holds a study; continue it with --resume or choose another --out-path")
    cells_of(path / STUDY)


def in_words(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 20 min`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _identity(cell: Cell) -> dict[str, Any]:
    return {"base": cell.base, "task": cell.task, "seed": cell.seed}


def cells_of(file: Path) -> dict[str, dict[str, Any]]:
    """The cells of a study.json."""
    found = jsonio.read_json(file)
    if not isinstance(found, dict) or found.get("schema_version") != SCHEMA_VERSION:
        raise InputError(f"{file}: expected an object of schema_version {SCHEMA_VERSION}; this is no study of this version")
    cells = found.get("cells")
    if not isinstance(cells, dict) or not all(isinstance(facts, dict) for facts in cells.values()):
        raise InputError(f"{file}: expected an object 'cells' of objects; it is damaged")
    for name in cells:
        if not PLAIN_NAME.fullmatch(name):
            raise InputError(f"{file}: names the cell {shown(name)}, which may lie outside the study; it is damaged")
    return cells
