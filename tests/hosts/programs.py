"""Start the program as one of several processes on this machine."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from jaxtrunc.demo import ASSETS

CONFIG = f"""\
name: hosts
base_model: {ASSETS}/model
task: {ASSETS}/task.yaml
train: {{learning_rate: 3.0e-3, max_steps: 12, batch_size: 32, checkpoint_every: 3, log_every: 1}}
sweep: {{operators: [top_k, bottom_k, random_k], ranks: [1, 4, 16], seeds: [0], limit: 80}}
"""
PEER_TIMEOUT = 20  # a busy machine may leave a process without a core for seconds


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(count: int, *arguments: object, devices: int, folders: tuple[Path, ...] | None = None) -> list[subprocess.Popen]:
    """`count` processes of `devices` virtual devices each, in working directories of their own; one alone gets no addresses."""
    port = free_port()
    processes = []
    for index in range(count):
        environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
                                    "JAXTRUNC_PEER_TIMEOUT": str(PEER_TIMEOUT)}
        if count > 1:
            environment |= {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_NUM_PROCESSES": str(count),
                            "JAX_PROCESS_ID": str(index)}
        processes.append(subprocess.Popen([sys.executable, "-m", "jaxtrunc", *map(str, arguments)], env=environment,
                                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
                                          cwd=folders and folders[index]))
    return processes


def finish(processes: list[subprocess.Popen], within: float = 400) -> list[tuple[int, str]]:
    """(exit code, error line) of each; nothing may hang, and nothing stays behind."""
    try:
        said = [process.communicate(timeout=within)[1] for process in processes]
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    lines = [[line for line in text.splitlines() if line.startswith("jaxtrunc: error: ")] for text in said]
    return [(process.returncode, found[-1] if found else "") for process, found in zip(processes, lines, strict=True)]


def wait_for_lines(file: Path, count: int, processes: list[subprocess.Popen], within: float = 300) -> None:
    """Return when `file` has that many lines; the programs must still be running."""
    end = time.monotonic() + within
    while not file.exists() or file.read_bytes().count(b"\n") < count:
        assert time.monotonic() < end and all(process.poll() is None for process in processes), finish(processes, 30)
        time.sleep(0.02)
