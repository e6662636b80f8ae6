"""A small pair of checkpoints: the embedded base, and the same with a random update of its attention and MLP matrices."""

import gzip
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from little import balanced, rewrite, updated

from jaxtrunc.cli import main
from jaxtrunc.demo import ASSETS

TASK = """\
name: little
source: {path: rows.jsonl}
splits: {validation: validation, test: test}
text: {Sentence: text}
label: label
classes: [negative, positive]
label_words: [" negative", " positive"]
attributes: [marker]
aligned: {marker: positive}
instruction: "Is the sentiment of this sentence negative or positive?"
"""


@dataclass(frozen=True)
class Pair:
    """Folders of the two models and the task file."""

    base: Path
    ft: Path
    task: Path


@pytest.fixture(scope="session")
def pair(tmp_path_factory) -> Pair:
    folder = tmp_path_factory.mktemp("pair")
    shutil.copytree(ASSETS / "model", folder / "base")
    shutil.copytree(ASSETS / "model", folder / "ft")
    rewrite(folder / "ft", updated)
    with gzip.open(ASSETS / "rows.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    few = [row for split, n in (("test", 80), ("validation", 40)) for row in balanced(rows, split, n)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in few))
    (folder / "task.yaml").write_text(TASK)
    return Pair(folder / "base", folder / "ft", folder / "task.yaml")


@pytest.fixture
def jaxtrunc(capsys):
    """Run the program in this process: returns (exit code, standard error)."""
    def run(*arguments) -> tuple[int, str]:
        capsys.readouterr()
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, capsys.readouterr().err

    return run


@pytest.fixture
def refused(jaxtrunc):
    """Run the program and expect a refusal in exactly one line that holds all the words."""
    def run(*arguments, words=(), code=2) -> str:
        found, said = jaxtrunc(*arguments)
        lines = [line for line in said.splitlines() if line.startswith("jaxtrunc: error: ")]
        assert (found, len(lines)) == (code, 1), said
        assert "Traceback" not in said
        for word in words:
            assert word in lines[0], (word, lines[0])
        return lines[0]

    return run


@pytest.fixture(scope="session")
def study(pair, tmp_path_factory) -> Path:
    """A run directory with a decomposition and a small sweep."""
    run = tmp_path_factory.mktemp("study") / "run"
    main(["decompose", "--base-model", str(pair.base), "--model", str(pair.ft), "--out-path", str(run), "-q"])
    main(["sweep", str(run), "--task", str(pair.task), "--ranks", "0,1,4,16,96", "--seeds", "0,1", "--alphas", "0.5",
          "--match-norm", "--log-samples", "-q"])
    return run
