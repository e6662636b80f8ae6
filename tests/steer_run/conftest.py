"""The small task under a name of its own, so that the program can be asked for it; compiled programs are kept."""

import json

import pytest
from small_task import small_task, source_directory

from jaxtrunc.cli import main
from jaxtrunc.recipes.steer import tasks


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch, compilation_cache):
    """`small` is a task of this process; its data key says of which kind."""
    def opened(settings, here, place, mesh):
        return small_task(settings.data or "unlearn", source_directory(place), seed=settings.seed)

    monkeypatch.setattr(tasks, "TASKS", {**tasks.TASKS, "small": opened})


@pytest.fixture
def steer(tmp_path, capsys):
    """`steer(config, *overrides)` runs the program on a config and returns (exit code, last line of standard error)."""
    def run(config, *overrides, out="run"):
        file = tmp_path / "config.yaml"
        file.write_text(json.dumps(config))  # JSON is YAML
        capsys.readouterr()
        try:
            main(["steer", "-q", str(file), "--out-path", str(tmp_path / out), *overrides])
        except SystemExit as stop:
            return int(stop.code or 0), capsys.readouterr().err.strip().split("\n")[-1]
        return 0, capsys.readouterr().err

    return run


@pytest.fixture
def lines():
    """The log of a run."""
    return lambda run: [json.loads(line) for line in (run / "steer.jsonl").read_text().splitlines()]
