"""A grid of runs: base models × tasks × training seeds in one YAML file. Every cell of it is a run config."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from jaxtrunc.config import RunConfig, from_mapping, override
from jaxtrunc.core.errors import InputError, refuse_unknown_keys, shown
from jaxtrunc.core.yamlio import read_yaml

SECTIONS = tuple(key.name for key in fields(RunConfig) if key.name not in ("name", "base_model", "task", "out_path"))
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Grid:
    """What a grid file holds; paths are relative to it.

    Attributes:
      name: of the study; its default directory is runs/NAME.
      base_models: name → REF.
      tasks: name → path of a task file, name of a benchmark, or the task itself as a mapping.
      seeds: training seeds; the cells of one base model and task differ in nothing else.
      train, decompose, sweep, lora, mesh: as in a run config, for every cell.
      overrides: pattern of cell names, such as `large-*` → sections with the keys that differ there; later ones win.
      skip: patterns of cell names that are left out.
    """

    name: str
    base_models: dict
    tasks: dict
    seeds: tuple[int, ...] = (0,)
    train: dict = field(default_factory=dict)
    decompose: dict = field(default_factory=dict)
    sweep: dict = field(default_factory=dict)
    lora: dict = field(default_factory=dict)
    mesh: dict = field(default_factory=dict)
    overrides: dict = field(default_factory=dict)
    skip: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One run of a study; the relative paths of `config` start from `directory`."""

    base: str
    task: str
    seed: int
    config: RunConfig
    directory: Path

    @property
    def name(self) -> str:
        """`BASE-TASK-sSEED`, the name of its directory."""
        return cell_name(self.base, self.task, self.seed)


def cell_name(base: str, task: str, seed: int) -> str:
    """`BASE-TASK-sSEED`."""
    return f"{base}-{task}-s{seed}"


def read_grid(path: Path, assignments: tuple[str, ...] = ()) -> tuple[str, list[Cell]]:
    """The name of a study and its cells, bases outermost and seeds innermost; a run config is a study of one cell.

    Args:
      assignments: `key=value`; those of a section (`train.epochs=1`) replace what the file says for any cell.

    Raises:
      InputError: an unknown key, a value of another type, a pattern that no cell has, no cell at all, or two seeds of one
        base model and task that differ in more than the seed.
    """
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a mapping of keys, found {type(values).__name__}")
    of_cells = tuple(text for text in assignments if re.split(r"[.=]", text)[0] in SECTIONS)
    values = override(values, tuple(text for text in assignments if text not in of_cells))
    if "base_model" in values and "base_models" not in values:
        values = _of_one_cell(values, path)
    grid = from_mapping(Grid, values, str(path))
    _check(grid, path)
    cells = [_cell(grid, *place, of_cells, path) for place in _places(grid)]
    if not cells:
        raise InputError(f"{path}: has no cell; give at least one base model, task and seed, and skip fewer")
    _check_seeds(cells, path)
    return grid.name, cells


def _of_one_cell(values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """A run config as a grid; where it would write is for the study to say."""
    config = from_mapping(RunConfig, values, str(path))
    task = config.task if isinstance(config.task, str) else str(config.task.get("name", "task"))
    train = {key: value for key, value in (values.get("train") or {}).items() if key != "seed"}
    sections = {key: values[key] for key in SECTIONS if key in values and key != "model"}
    model = {"overrides": {"*": {"model": config.model}}} if config.model else {}
    return {"name": config.name, "base_models": {label_of(config.base_model): config.base_model},
            "tasks": {label_of(task): config.task}, "seeds": [config.train.seed], **sections, "train": train, **model}


def label_of(ref: str) -> str:
    """A name from a REF or a path: its last part, without revision and ending."""
    last = ref.partition("@")[0].rstrip("/").rpartition("/")[2].removesuffix(".yaml")
    return re.sub(r"[^A-Za-z0-9_-]", "_", last).lstrip("-") or "model"


def _check(grid: Grid, path: Path) -> None:
    for key, names in (("name", [grid.name]), ("base_models", grid.base_models), ("tasks", grid.tasks)):
        for name in names:
            if not isinstance(name, str) or not PLAIN_NAME.fullmatch(name):
                raise InputError(f"{path}: {key}: expected names of letters, digits, '_' and '-', found {shown(name)}")
    if len(set(grid.seeds)) < len(grid.seeds):
        raise InputError(f"{path}: seeds: each must be there once, found {list(grid.seeds)}")
    if "seed" in grid.train:
        raise InputError(f"{path}: train: the key 'seed' is set by the list 'seeds'")
    names = [cell_name(*place) for place in itertools.product(grid.base_models, grid.tasks, grid.seeds)]
    for pattern in (*grid.overrides, *grid.skip):
        if not any(fnmatchcase(name, str(pattern)) for name in names):
            raise InputError(f"{path}: the pattern {shown(pattern)} has no cell; they are named BASE-TASK-sSEED: {shown(names)}")


def _places(grid: Grid) -> Iterator[tuple[str, str, int]]:
    for place in itertools.product(grid.base_models, grid.tasks, grid.seeds):
        if not any(fnmatchcase(cell_name(*place), pattern) for pattern in grid.skip):
            yield place


def _cell(grid: Grid, base: str, task: str, seed: int, assignments: tuple[str, ...], path: Path) -> Cell:
    name = cell_name(base, task, seed)
    where = f"{path}, cell {name}"
    values: dict[str, Any] = {key: getattr(grid, key) for key in SECTIONS if getattr(grid, key, None)}
    for pattern, changes in grid.overrides.items():
        if fnmatchcase(name, pattern):
            values = _changed(values, changes, f"{path}: overrides, {pattern}")
    values = override(values, assignments)
    values["train"] = {**(values.get("train") or {}), "seed": seed}
    named = {"name": name, "base_model": grid.base_models[base], "task": grid.tasks[task]}
    return Cell(base, task, seed, from_mapping(RunConfig, values | named, where), path.parent)


def _changed(values: Mapping[str, Any], changes: Any, where: str) -> dict[str, Any]:
    """`values` with single keys of its sections replaced."""
    if not isinstance(changes, Mapping):
        raise InputError(f"{where}: expected a mapping of sections, found {shown(changes)}")
    refuse_unknown_keys(changes, SECTIONS, where)
    merged = {key: {**values.get(key, {}), **new} if isinstance(new, Mapping) else new for key, new in changes.items()}
    return {**values, **merged}


def _check_seeds(cells: list[Cell], path: Path) -> None:
    first: dict[tuple[str, str], RunConfig] = {}
    for cell in cells:
        known = first.setdefault((cell.base, cell.task), cell.config)
        if replace(known, name="", train=replace(known.train, seed=0)) != replace(
                cell.config, name="", train=replace(cell.config.train, seed=0)):
            raise InputError(f"{path}: cell {cell.name} differs from {known.name} in more than its seed; write overrides for all "
                             "seeds of a base model and task")
