"""A tiny base and three models tuned from it, and the program run in this process."""

from pathlib import Path

import pytest
from tiny_models import write_base, write_tuned

from jaxtrunc.cli import main


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> list[Path]:
    """Base, one, two, three: read only."""
    folder = tmp_path_factory.mktemp("models")
    base = write_base(folder / "base")
    return [base, *(write_tuned(folder / f"m{seed}", base, seed) for seed in (1, 2, 3))]


@pytest.fixture
def merged(capsys):
    """`merged(…)` runs `jaxtrunc merge …` and returns (exit code, standard error)."""
    def run(*arguments) -> tuple[int, str]:
        capsys.readouterr()
        try:
            main(["merge", "-q", *map(str, arguments)])
        except SystemExit as stop:
            return int(stop.code or 0), capsys.readouterr().err
        return 0, capsys.readouterr().err

    return run
