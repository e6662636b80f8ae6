"""The commands of docs/studies.md, run in the order in which they stand."""

import json
import re
import shlex
from pathlib import Path

import pytest
from one_layer import write_base

from jaxtrunc.recipes.grid import read_grid

PAGE = Path(__file__).parents[2] / "docs" / "studies.md"
NEEDS_DOWNLOADS = "paper"


@pytest.fixture
def reader(workshop, tmp_path, monkeypatch) -> Path:
    """The folder of a reader with two base models, a task and the grid of the page."""
    for name in ("base", "other"):
        write_base(tmp_path / name)
    (tmp_path / "task.yaml").write_text((workshop / "marker.yaml").read_text())
    (tmp_path / "rows.jsonl").write_text((workshop / "rows.jsonl").read_text())
    (tmp_path / "grid.yaml").write_text(re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.S)[0])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands() -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.S)
    return [line.removeprefix("$ jaxtrunc ") for block in blocks for line in block.splitlines()]


def test_the_grid_of_the_page(reader):
    cells = {cell.name: cell.config for cell in read_grid(reader / "grid.yaml")[1]}
    assert list(cells) == ["one-marker-s0", "one-marker-s1", "two-marker-s0"]
    assert cells["two-marker-s0"].train.learning_rate == 5e-4


@pytest.mark.slow
def test_the_commands_of_the_page(reader, program):
    lines = [line for line in commands() if NEEDS_DOWNLOADS not in line]
    assert [line.split()[0] for line in lines] == ["plan", "study", "study", "study", "collect"]
    for line in lines:
        code, _, said = program(*shlex.split(line))
        assert code == 0, (line, said)
    found = json.loads((reader / "runs" / "overview-first" / "collect.json").read_text())
    assert [run["name"] for run in found["runs"]] == ["one-marker-s0", "one-marker-s1", "two-marker-s0"]
    assert found["unusable"] == [] and all(run["lora"]["learning_rate"] for run in found["runs"])
    levels = {record["k"] for record in json.loads((reader / "runs/first/one-marker-s0/results.json").read_text())["records"]}
    assert {0, 2, 4, 8} <= levels
