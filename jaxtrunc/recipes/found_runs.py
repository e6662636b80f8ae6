"""Run directories among what was named: each is opened as a `Run`, or named with the reason why it cannot be shown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.rundir import MANIFEST, RunDir
from jaxtrunc.recipes.grid import label_of
from jaxtrunc.recipes.ledger import STUDY, cells_of
from jaxtrunc.recipes.report import RESULTS
from jaxtrunc.report.collect_facts import Run, facts

DEEPEST = 4  # folders below one that was named


@dataclass(frozen=True)
class Found:
    """The runs that can be shown, and `{"path", "reason"}` of those that cannot."""

    runs: list[Run]
    unusable: list[dict[str, str]]


def find_runs(paths: Sequence[Path]) -> Found:
    """Open every run in `paths`, in that order; a study's cells in the order of its grid.

    Raises:
      InputError: a path is not there, or none of them holds a run.
    """
    found = Found([], [])
    for path in paths:
        if not path.is_dir():
            raise InputError(f"{path}: no such directory; give run directories, or directories that hold some")
        for place, state in _places(path, DEEPEST):
            try:
                found.runs.append(open_finished(place))
            except InputError as error:
                found.unusable.append({"path": str(place), "reason": state or str(error)})
    if not found.runs and not found.unusable:
        raise InputError(f"{paths[0]}: holds no run directory (none with a {MANIFEST})")
    return replace(found, runs=_named_apart(found.runs))


def open_finished(path: Path) -> Run:
    """The run in `path`; `InputError` says why it cannot be shown."""
    directory = RunDir(path)
    if not (path / RESULTS).exists():
        raise InputError(f"unfinished: it holds no {RESULTS}; the verb that began it goes on with --resume")
    directory.verify(RESULTS, "sweep")
    results = jsonio.read_json(path / RESULTS)
    try:
        run = Run(path=str(path), results=results, **_identity(directory, results))
        facts(run)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"{path / RESULTS}: not what `jaxtrunc sweep` writes ({type(error).__name__}: {error})") from error
    return run


def _identity(directory: RunDir, results: dict[str, Any]) -> dict[str, Any]:
    """Name, base, task and seed: as a study noted them, else as the results say."""
    noted = directory.manifest["verbs"].get("study") or {}
    config = results["config"]
    said = {"base": label_of(str(config["base_model"])), "task": str(config["name"]),
            "seed": (config.get("seeds") or {}).get("train")}
    return {"name": directory.path.resolve().name} | said | {key: noted[key] for key in said if key in noted}


def _places(path: Path, depth: int) -> Iterator[tuple[Path, str]]:
    """Run directories in `path`, each with what its study says of it if it is not done."""
    if (path / MANIFEST).exists():
        yield path, ""
        return
    cells: dict[str, dict[str, Any]] = {}
    try:
        cells = cells_of(path / STUDY) if (path / STUDY).exists() else {}
    except InputError as error:
        yield path, str(error)
    for name, cell in cells.items():
        yield path / name, _state(path / name, cell)
    for child in sorted(path.iterdir()) if depth else ():
        if child.is_dir() and not child.name.startswith(".") and child.name not in cells:
            yield from _places(child, depth - 1)


def _state(path: Path, cell: dict[str, Any]) -> str:
    """What a study says of a cell that is not done; nothing where the run speaks for itself."""
    if cell.get("error"):
        return f"failed: {cell['error']}"
    return "" if path.is_dir() else "its study has not begun it yet"


def _named_apart(runs: list[Run]) -> list[Run]:
    """Runs of one name get their paths as names."""
    names = [run.name for run in runs]
    return [replace(run, name=run.path) if names.count(run.name) > 1 else run for run in runs]
