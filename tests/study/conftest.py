"""A grid of two small bases, and the program run in this process."""

import gzip
import json
from pathlib import Path

import pytest
import yaml
from one_layer import write_base
from short_runs import SHORT

from jaxtrunc.cli import main
from jaxtrunc.demo import ASSETS

ROWS = {"train": 64, "validation": 40, "test": 80}


def few_rows() -> list[dict]:
    """The same number of rows of every (label, marker) cell of each split."""
    with gzip.open(ASSETS / "rows.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    cells: dict[tuple, list[dict]] = {}
    for row in rows:
        cells.setdefault((row["split"], row["label"], row["marker"]), []).append(row)
    return [row for (split, *_), cell in cells.items() for row in cell[: ROWS[split] // 4]]


@pytest.fixture(scope="session")
def workshop(tmp_path_factory) -> Path:
    """A folder with two base models, `small` and `other`, and the task file `marker.yaml`."""
    folder = tmp_path_factory.mktemp("workshop")
    for name in ("small", "other"):
        write_base(folder / name)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in few_rows()))
    task = yaml.safe_load((ASSETS / "task.yaml").read_text()) | {"source": {"path": "rows.jsonl"}}
    (folder / "marker.yaml").write_text(yaml.safe_dump(task))
    return folder


@pytest.fixture
def grid(workshop):
    """Write a grid file beside models and task; returns its path."""
    def write(name: str, **values) -> Path:
        file = workshop / f"{name}.yaml"
        given = {"name": name, "base_models": {"small": "small"}, "tasks": {"marker": "marker.yaml"}, **SHORT}
        file.write_text(yaml.safe_dump(given | values, sort_keys=False))
        return file

    return write


@pytest.fixture
def program(capsys):
    """Run the program in this process: returns (exit code, standard output, standard error)."""
    def run(*arguments) -> tuple[int, str, str]:
        capsys.readouterr()
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
