"""The real program, on one device and in a process of its own: eight virtual devices wait for each other on a busy machine."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

FULL = ("--seeds", ",".join(map(str, range(10))), "--match-norm", "--ranks")
"""All default operators, ten seeds, every control also at the norm of top_k; the ranks follow."""


def jaxtrunc(*arguments) -> None:
    """Run the program; `AssertionError` with what it said if it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = [sys.executable, "-m", "jaxtrunc", *map(str, arguments), "-q"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def read_results(run: Path) -> dict[str, Any]:
    """results.json of a run directory."""
    return json.loads((run / "results.json").read_text())


def results_of(base: Path, model: Path, task: Path, run: Path, *sweep: str) -> dict[str, Any]:
    """results.json of `jaxtrunc decompose` and `jaxtrunc sweep` with the given flags."""
    jaxtrunc("decompose", "--base-model", base, "--model", model, "--out-path", run)
    jaxtrunc("sweep", run, "--task", task, "--batch-size", "100", *sweep)
    return read_results(run)
