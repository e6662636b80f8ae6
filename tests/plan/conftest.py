"""Checkpoints of headers alone, and the program run in this process."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from plan_memory import HALF_B, SEVEN_B, SEVENTY_B, write_headers

from jaxtrunc.cli import main


@pytest.fixture(scope="session")
def half_b(tmp_path_factory) -> Path:
    """0.5B shape in one shard."""
    return write_headers(tmp_path_factory.mktemp("half") / "base", HALF_B, 1)


@pytest.fixture(scope="session")
def seven_b(tmp_path_factory) -> Path:
    """7B shape in 15 shards."""
    return write_headers(tmp_path_factory.mktemp("seven") / "base", SEVEN_B, 15)


@pytest.fixture(scope="session")
def seventy_b(tmp_path_factory) -> Path:
    """70B shape in 30 shards."""
    return write_headers(tmp_path_factory.mktemp("seventy") / "base", SEVENTY_B, 30)


@pytest.fixture
def program(capsys):
    """Run the program in this process: returns (exit code, standard output, lines that say what is wrong)."""
    def run(*arguments) -> tuple[int, str, list[str]]:
        capsys.readouterr()
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, [line for line in said.err.splitlines() if line.startswith("jaxtrunc: error: ")]

    return run
