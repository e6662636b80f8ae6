"""A run that was killed and continued ends with the bits of a run that was not."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxtrunc.core.stopping import stop_request

SCRIPT = Path(__file__).parent / "one_run.py"


@pytest.fixture(scope="module")
def start(compilation_cache):
    """A function that starts `one_run.py` in a process of its own."""
    environment = {**os.environ, "XLA_FLAGS": "", "JAX_COMPILATION_CACHE_DIR": str(compilation_cache),
                   "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}

    def begin(directory: Path, *, resume: bool = False, delay: float = 0.0) -> subprocess.Popen:
        directory.mkdir(exist_ok=True)
        command = [sys.executable, SCRIPT, directory, str(int(resume)), str(delay)]
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    return begin


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
def uninterrupted(start, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("uninterrupted")
    finish(start(directory))
    return directory


def test_kill_nine(start, uninterrupted, tmp_path):
    """Also with the next checkpoint torn, as if the kill had come while it was written."""
    run = tmp_path / "run"
    process = start(run, delay=0.1)
    wait_for_step(process, run, 14)
    process.kill()
    process.communicate()
    whole = [path for path in (run / "checkpoints").iterdir() if path.name.isdigit()]  # the kill may have torn one itself
    newest = max(whole, key=lambda path: int(path.name))
    torn = Path(shutil.copytree(newest, newest.with_name("29.orbax-checkpoint-tmp")))
    (torn / "state" / "manifest.ocdbt").unlink()
    finish(start(run, resume=True))
    same_end(run, uninterrupted)


def test_sigterm_writes_a_checkpoint_and_says_how_to_continue(start, uninterrupted, tmp_path):
    run = tmp_path / "run"
    process = start(run, delay=0.1)
    wait_for_step(process, run, 9)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3, errors
    assert "resume with --resume" in errors.splitlines()[-1]
    stopped_at = steps(run)[-1]
    assert f"SIGTERM after step {stopped_at} of 30" in errors
    assert f"resuming after step {stopped_at} of 30" in finish(start(run, resume=True))
    same_end(run, uninterrupted)


def test_the_first_signal_is_noted_and_the_second_acts(request):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may start its background jobs without one
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with pytest.raises(KeyboardInterrupt), stop_request() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.name == "SIGINT"
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def same_end(run: Path, uninterrupted: Path) -> None:
    assert (run / "final.bin").read_bytes() == (uninterrupted / "final.bin").read_bytes()
    assert steps(run) == list(range(1, 31))
    assert curve(run) == curve(uninterrupted)


def curve(directory: Path) -> list[dict]:
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    clocked = {"tokens_per_second", "model_flops_utilisation"}
    return [{key: value for key, value in line.items() if key not in clocked} for line in lines]
