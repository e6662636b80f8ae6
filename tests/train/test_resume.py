"""A run that was killed and continued ends with the bits of a run that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "one_run.py"


def start(directory: Path, *, resume: bool = False, delay: float = 0.0) -> subprocess.Popen:
    directory.mkdir(exist_ok=True)
    environment = {**os.environ, "XLA_FLAGS": "", "PYTHONPATH": str(SCRIPT.parent)}
    return subprocess.Popen([sys.executable, SCRIPT, directory, str(int(resume)), str(delay)], env=environment,
                            stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> str:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return errors


def wait_for_step(process: subprocess.Popen, directory: Path, step: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if steps(directory)[-1:] >= [step]:
            return
        time.sleep(0.01)
    pytest.fail(f"the child did not reach step {step}: {process.communicate()[1]}")


def steps(directory: Path) -> list[int]:
    path = directory / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line)["step"] for line in lines if "loss" in line]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("uninterrupted")
    finish(start(directory))
    return directory


@pytest.mark.parametrize("step", [6, 22])
def test_kill_nine(uninterrupted, tmp_path, step):
    run = tmp_path / "run"
    process = start(run, delay=0.1)
    wait_for_step(process, run, step)
    process.kill()
    process.communicate()
    finish(start(run, resume=True))
    same_end(run, uninterrupted)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_write_a_checkpoint_and_say_how_to_continue(uninterrupted, tmp_path, number):
    run = tmp_path / "run"
    process = start(run, delay=0.1)
    wait_for_step(process, run, 9)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3, errors
    assert "resume with --resume" in errors.splitlines()[-1]
    stopped_at = steps(run)[-1]
    assert f"after step {stopped_at} of 30" in errors
    assert f"resuming after step {stopped_at} of 30" in finish(start(run, resume=True))
    same_end(run, uninterrupted)


def test_killed_while_a_checkpoint_is_written(uninterrupted, tmp_path):
    """A torn checkpoint directory is not taken for a whole one."""
    run = tmp_path / "run"
    process = start(run, delay=0.05)
    wait_for_step(process, run, 9)
    process.kill()
    process.communicate()
    torn = max((run / "checkpoints").glob("[0-9]*"), key=lambda path: int(path.name) if path.name.isdigit() else -1)
    (torn / "state" / "manifest.ocdbt").unlink()
    (torn / "commit_success.txt").unlink(missing_ok=True)
    torn.rename(torn.with_name(f"{int(torn.name) + 1}.orbax-checkpoint-tmp"))
    finish(start(run, resume=True))
    same_end(run, uninterrupted)


def same_end(run: Path, uninterrupted: Path) -> None:
    assert (run / "final.bin").read_bytes() == (uninterrupted / "final.bin").read_bytes()
    assert steps(run) == list(range(1, 31))
    assert curve(run) == curve(uninterrupted)


def curve(directory: Path) -> list[dict]:
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "tokens_per_second"} for line in lines]
