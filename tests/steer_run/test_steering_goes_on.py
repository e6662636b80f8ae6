"""Killed and resumed, a run ends with the bytes of one that was not (spec 12.14)."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "one_steering.py"
CONFIG = {"task": "small", "method": "sift", "sift": {"rank": 0.25, "subspace": "iterate"},
          "train": {"max_steps": 12, "epochs": 99, "learning_rate": 0.01, "scope": "all", "checkpoint_every": 4}}


@pytest.fixture(scope="module")
def start(compilation_cache, tmp_path_factory):
    """A function that starts the program in a process of its own."""
    config = tmp_path_factory.mktemp("config") / "config.yaml"
    config.write_text(json.dumps(CONFIG))  # JSON is YAML
    environment = {**os.environ, "XLA_FLAGS": "", "JAX_COMPILATION_CACHE_DIR": str(compilation_cache),
                   "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}

    def begin(run: Path, *arguments: str, delay: float = 0.0) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, SCRIPT, config, run, str(delay), *arguments], env=environment,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    return begin


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


def curve(run: Path) -> list[dict]:
    clocked = {"tokens_per_second", "model_flops_utilisation"}
    return [{key: value for key, value in json.loads(line).items() if key not in clocked}
            for line in (run / "steer.jsonl").read_text().splitlines()]


def wait_for_step(process: subprocess.Popen, run: Path, step: int) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if (run / "steer.jsonl").exists() and len((run / "steer.jsonl").read_text().splitlines()) >= step:
            return
        time.sleep(0.01)
    pytest.fail(f"the child did not reach step {step}: {process.communicate()[1]}")


@pytest.mark.slow
def test_killed_and_resumed(start, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(start(whole))
    process = start(killed, delay=0.2)
    wait_for_step(process, killed, 6)
    process.kill()
    process.communicate()
    finish(start(killed, "--resume"))
    for name in ("model/model.safetensors", "conflicts.npz"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert curve(killed) == curve(whole) and len(curve(whole)) == 12
